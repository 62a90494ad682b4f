"""Shapes drawn on real images: what a small SAM learns from without anybody's labels.

A shape is a smooth blob or a bent line. Within it the image is another one's, or its own made darker, brighter or
smoother; its edge is soft. So a network that finds shapes must tell texture and brightness from their surroundings.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image as Picture
from scipy import ndimage

from common import write_manifest

STRUCTURES = ("blob", "line")


def blob(draw: np.random.Generator, side: int) -> np.ndarray:
    """Return a smooth random blob, its radius a tenth to a quarter of the side; True inside."""
    angles = np.linspace(0, 2 * np.pi, 360, endpoint=False)
    radius = side * draw.uniform(0.1, 0.25) * np.ones_like(angles)
    for wave in range(1, 5):
        radius *= 1 + draw.uniform(0, 0.3) / wave * np.cos(wave * angles + draw.uniform(0, 2 * np.pi))
    stretch = draw.uniform(0.5, 1)
    y, x = np.mgrid[:side, :side] - draw.uniform(0.15, 0.85, 2)[:, None, None] * side
    turn = draw.uniform(0, np.pi)
    along, across = x * np.cos(turn) + y * np.sin(turn), (y * np.cos(turn) - x * np.sin(turn)) / stretch
    place = (np.degrees(np.arctan2(across, along)) % 360).astype(int) % 360
    return np.hypot(along, across) < radius[place]


def line(draw: np.random.Generator, side: int) -> np.ndarray:
    """Return a bent line of one to four pixels; True on it."""
    times = np.linspace(0, 1, 4 * side)
    start, heading = draw.uniform(0.1, 0.9, 2) * side, draw.uniform(0, 2 * np.pi)
    bends = np.cumsum(draw.normal(0, 0.03, len(times))) + heading
    path = start[:, None] + np.cumsum([np.sin(bends), np.cos(bends)], axis=1) * draw.uniform(0.1, 0.25)
    mask = np.zeros((side, side), bool)
    rows, columns = np.rint(path).astype(int)
    within = (rows >= 0) & (rows < side) & (columns >= 0) & (columns < side)
    mask[rows[within], columns[within]] = True
    return ndimage.binary_dilation(mask) if draw.random() < 0.5 else mask


def changed(draw: np.random.Generator, image: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return what an image shows within a shape: another image, or its own pixels changed."""
    kind = draw.integers(3)
    if kind == 0:
        inside = other
    elif kind == 1:
        inside = ndimage.gaussian_filter(image, draw.uniform(1, 4))
    else:
        inside = image
    return np.clip(inside * draw.uniform(0.5, 1.2) + draw.uniform(-0.25, 0.25), 0, 1)


def drawn(
    draw: np.random.Generator, image: np.ndarray, others: Sequence[np.ndarray]
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Draw one to three blobs and one to three lines on an image: a network that finds nothing is never right.

    Args:
        draw: Every draw comes from it.
        image: Square, 0 to 1.
        others: Images of the same shape, which blobs show parts of.

    Returns:
        The image, and the mask of each structure.
    """
    side = len(image)
    masks = {name: np.zeros(image.shape, bool) for name in STRUCTURES}
    for name, shape in (("blob", blob), ("line", line)):
        for _ in range(int(draw.integers(1, 4))):
            mask = shape(draw, side)
            soft = ndimage.gaussian_filter(mask.astype(np.float32), draw.uniform(0.5, 1.5))
            image = image + soft * (changed(draw, image, others[int(draw.integers(len(others)))]) - image)
            masks[name] |= mask
            if name == "line":
                masks["blob"] &= ~mask  # it lies above
    return image, masks


def square(image: np.ndarray, side: int) -> np.ndarray:
    """Return an image's middle, enlarged or reduced so that its shorter side is the square's."""
    picture = Picture.fromarray(image)
    width, height = picture.size
    part = min(width, height)
    left, top = (width - part) // 2, (height - part) // 2
    middle = picture.crop((left, top, left + part, top + part)).resize((side, side), Picture.Resampling.BILINEAR)
    return np.asarray(middle, np.float32) / 255


def write_shapes(images: Sequence[Path], out: Path, *, count: int, side: int, validation: int, seed: int) -> Path:
    """Write images with shapes on them, and the manifest of a data set of both structures; return it.

    Args:
        images: Grey images to draw on; the training images of anything.
        out: Folder for the files.
        count: How many to make.
        side: Of each, pixels.
        validation: So many of them choose the best weights.
        seed: Of every draw.
    """
    draw = np.random.default_rng(seed)
    grounds = [square(np.asarray(Picture.open(path).convert("L")), side) for path in images]
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(count):
        image, masks = drawn(draw, grounds[int(draw.integers(len(grounds)))], grounds)
        files = {"image": out / f"{number:04d}.png", **{name: out / f"{number:04d}_{name}.png" for name in masks}}
        Picture.fromarray(np.rint(image * 255).clip(0, 255).astype(np.uint8)).save(files["image"])
        for name, mask in masks.items():
            Picture.fromarray((mask * 255).astype(np.uint8)).save(files[name])
        row = {"image": files["image"], **{f"label:{name}": files[name] for name in masks}}
        part = "validation" if number < validation else "train"
        rows.append({column: str(path.resolve()) for column, path in row.items()} | {"split": part})
    return write_manifest(out / "shapes.csv", rows)
