"""How far an exported graph differs from the student, on real images."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Shaped, UInt32

from segdistill.data.channels import select
from segdistill.data.image import Image, ImageSource
from segdistill.data.normalisation import rule_from_json
from segdistill.data.readers import open_image
from segdistill.evaluation.instances import match
from segdistill.files import sha256_path
from segdistill.inference.export_card import Equality
from segdistill.inference.exported_predictor import Compute
from segdistill.inference.inputs import find_images
from segdistill.inference.instances import segment
from segdistill.inference.predictor import Run
from segdistill.inference.scale import at_model_scale
from segdistill.inference.windows import View, assembled, plan_windows, run_windows, view_of
from segdistill.networks.card import ModelCard

_LARGEST = 1536
"""Of larger images the middle is looked at, pixels: their whole decides low and high all the same."""


@dataclass(frozen=True, kw_only=True)
class Tiling:
    """How images are cut."""

    tile: int
    """Side of a window, pixels."""

    halo: int
    """Border of a window that is not kept, pixels."""

    stride: int
    """Pixels per step of the network's coarsest grid."""


@dataclass(frozen=True, eq=False)
class Shown:
    """A real image, or its middle, as graphs are shown it."""

    view: View
    """As the student is shown it."""

    pixels: Float[np.ndarray, "c y x"]
    """The model's channels, as the file has them."""

    sha256: str
    """Of the image file, or of all that is in its folder."""


@dataclass(frozen=True, eq=False)
class Case:
    """An image, and what the student says of it."""

    shown: Shown
    """The image."""

    maps: Float[np.ndarray, "o y x"]
    """The student's probabilities."""

    masks: dict[str, UInt32[np.ndarray, "y x"]]
    """By structure, at the model's thresholds."""


def read_shown(paths: Sequence[Path], card: ModelCard, *, most: int, without: Path) -> list[Shown]:
    """Return real images as graphs are shown them, evenly chosen where they are many.

    Args:
        paths: Files, and folders of files.
        card: The student's.
        most: So many at most.
        without: A folder that is not searched.

    Raises:
        DataError: There is no image, or one cannot be used.
    """
    found = find_images(paths, without=without)
    chosen = {int(place) for place in np.linspace(0, len(found) - 1, min(most, len(found))).round()}
    return [_read(found[place].path, card) for place in sorted(chosen)]


def _read(path: Path, card: ModelCard) -> Shown:
    with open_image(path) as opened:
        source, _ = at_model_scale(opened, card, policy="ignore", fill_non_finite=False)
        whole = view_of(source, card.channels, rule_from_json(card.normalisation))
        rows, columns = (
            slice((side - min(side, _LARGEST)) // 2, (side + min(side, _LARGEST)) // 2) for side in whole.shape
        )
        middle = Image(_pixels(source, (rows, columns), card), card.channels, None, str(path))
    view = View(middle, card.channels, whole.low, whole.high)
    return Shown(view, middle.array.astype(np.float32), sha256_path(path) or "")


def _pixels(source: Image | ImageSource, window: tuple[slice, slice], card: ModelCard) -> Shaped[np.ndarray, "c y x"]:
    array = source.array[:, *window] if isinstance(source, Image) else source.read(window)
    return select(array, source.channels, card.channels, source=source.source)


def answered(run: Run, shown: Shown, card: ModelCard, tiling: Tiling) -> Case:
    """Return an image with what the student says of it."""
    parts = run_windows(run, shown.view, tile=tiling.tile, halo=tiling.halo, stride=tiling.stride, batch=1)
    maps = assembled(parts, outputs=len(card.outputs), shape=shown.view.shape)
    return Case(shown, maps, segment(maps, card.structures, card.thresholds))


def graph_maps(compute: Compute, shown: Shown, card: ModelCard, tiling: Tiling) -> Float[np.ndarray, "o y x"]:
    """Return what a graph says of an image's raw pixels: its own normalisation is at work."""
    maps = np.empty((len(card.outputs), *shown.view.shape), np.float32)
    low, high = shown.view.low, shown.view.high
    for cut in plan_windows(shown.view.shape, side=tiling.tile, halo=tiling.halo, stride=tiling.stride):
        image = np.ascontiguousarray(shown.pixels[None, :, *cut.read])
        maps[:, *cut.write] = compute(image, low, high)[0][:, *cut.keep]
    return maps


def compare(compute: Compute, cases: Sequence[Case], card: ModelCard, tiling: Tiling) -> Equality:
    """Return how far a graph differs from the student.

    Note [Pixels and objects together]: scores are of all images together, as a share of the pixels (objects) that
    either says; a mean over images would let one with five pixels of foreground decide.

    Args:
        compute: The graph.
        cases: Images with the student's answers, at least one.
        card: The student's.
        tiling: How images are cut, for both.
    """
    names = [structure.name for structure in card.structures]
    shared, said = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    matched, objects = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    foreground = dict.fromkeys(names, 0)
    difference = 0.0
    for case in cases:
        maps = graph_maps(compute, case.shown, card, tiling)
        difference = max(difference, float(np.abs(maps - case.maps).max()))
        masks = segment(maps, card.structures, card.thresholds)
        for structure in card.structures:
            one, other = masks[structure.name], case.masks[structure.name]
            shared[structure.name] += int(np.count_nonzero((one > 0) & (other > 0)))
            said[structure.name] += int(np.count_nonzero(one) + np.count_nonzero(other))
            foreground[structure.name] += int(np.count_nonzero(other))
            if structure.instances:
                matching = match(one, other)
                true = len(matching.iou)
                matched[structure.name] += true
                objects[structure.name] += matching.n_prediction + matching.n_label - true
    pixels = sum(case.maps[0].size for case in cases)
    return Equality(
        difference=difference,
        dice={name: _share(2 * shared[name], said[name]) for name in names},
        average_precision={
            structure.name: _share(matched[structure.name], objects[structure.name])
            for structure in card.structures
            if structure.instances
        },
        foreground={name: count / pixels for name, count in foreground.items()},
        images=len(cases),
        megapixels=pixels / 1e6,
    )


def _share(part: int, whole: int) -> float:
    """Return a share; 1 where both sides are empty and so agree."""
    return part / whole if whole else 1.0
