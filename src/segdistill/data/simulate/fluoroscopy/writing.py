"""Simulated clips as a data set on disk."""

import csv
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image as Pillow

from segdistill.data.clip_writer import GREY, clip_file
from segdistill.data.simulate.fluoroscopy.clip import Clip, simulate_clip
from segdistill.data.simulate.fluoroscopy.settings import STRUCTURES, FluoroscopySettings
from segdistill.data.simulate.folder import claim, field_seed
from segdistill.data.writers import write_film
from segdistill.errors import ConfigError
from segdistill.files import whole_file

_DEFAULT = FluoroscopySettings()
_FORMAT = 1
"""Raised whenever equal seeds begin to give other pixels."""


def write_fluoroscopy(
    folder: Path, *, clips: int, seed: int, settings: FluoroscopySettings = _DEFAULT, films: bool = False
) -> None:
    """Write simulated clips, frame by frame, as a data set with overlapping structures.

    Frame 7 of clip 3 becomes ``images/clip_0003_frame_0007.png`` and ``labels/clip_0003_frame_0007.tif``, in which
    bit k is structure k of ``STRUCTURES``. ``manifest.csv`` groups the frames by clip, so that no clip is in two
    splits; ``settings.toml`` is for ``--config``; ``fluoroscopy.json`` holds what all was made with. A call that was
    interrupted goes on where it stopped when it is repeated.

    Args:
        folder: Made if absent.
        clips: How many, ≥ 1.
        seed: Seed of the data set, ≥ 0; ``field_seed`` says which seed each clip has.
        settings: The clips and the machine.
        films: Whether ``clips/`` becomes a data set of its own of the same clips as films: clip 3 is
            ``clips/images/clip_0003.avi``, without loss, and where its bolus is ``clips/labels/bolus/clip_0003.tif``.

    Raises:
        MissingExtra: Films are asked for, and PyAV is not installed.
        ConfigError: The count or the seed is out of range, or the folder holds something else.
        EnvironmentFault: The folder cannot be written or the disk is full.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp()) / "swallows"
    >>> write_fluoroscopy(folder, clips=1, seed=0, settings=FluoroscopySettings(height=32, width=32, frames=1))
    >>> sorted(path.relative_to(folder).as_posix() for path in folder.glob("*/*"))
    ['images/clip_0000_frame_0000.png', 'labels/clip_0000_frame_0000.tif']
    """
    if clips < 1 or seed < 0:
        raise ConfigError(f"clips is {clips} and seed is {seed}, but clips must be 1 or more and seed 0 or more.")
    record = {"format": _FORMAT, "clips": clips, "seed": seed, "settings": asdict(settings)}
    claim(folder, "fluoroscopy.json", record, what="simulated clips")
    rows = []
    for number in range(clips):
        names = [f"clip_{number:04d}_frame_{frame:04d}" for frame in range(settings.frames)]
        _write_clip(folder, names, field_seed(seed, number), settings)
        if films:
            _write_film(folder / "clips", names[0][:9], field_seed(seed, number), settings)
        rows += [{"image": f"images/{name}.png", "label": f"labels/{name}.tif", "group": name[:9]} for name in names]
    with whole_file(folder / "manifest.csv") as partial, partial.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, fieldnames=["image", "label", "group"])
        writer.writeheader()
        writer.writerows(rows)
    with whole_file(folder / "settings.toml") as partial:
        partial.write_text(_settings_for(folder), encoding="utf-8")


def _write_clip(folder: Path, names: list[str], seed: int, settings: FluoroscopySettings) -> None:
    """Write the frames of a clip, unless all are there."""
    images = [folder / "images" / f"{name}.png" for name in names]
    labels = [folder / "labels" / f"{name}.tif" for name in names]
    if all(path.exists() for path in (*images, *labels)):
        return
    clip = simulate_clip(seed, settings)
    for frame, bits, image, label in zip(clip.frames, bits_of(clip), images, labels, strict=True):
        with whole_file(image) as partial:
            Pillow.fromarray(frame).save(partial, format="PNG")
        with whole_file(label) as partial:
            tifffile.imwrite(partial, bits, photometric="minisblack", compression="zlib", metadata={"axes": "YX"})


def _write_film(folder: Path, name: str, seed: int, settings: FluoroscopySettings) -> None:
    """Write a clip as a film, and a film of each structure's masks, unless all are there."""
    film = folder / "images" / f"{name}.avi"
    labels = [folder / "labels" / structure / f"{name}.tif" for structure in STRUCTURES]
    if all(path.exists() for path in (film, *labels)):
        return
    clip = simulate_clip(seed, settings)
    rate = Fraction(settings.rate).limit_denominator(100_000)
    with clip_file(film, size=(settings.height, settings.width), rate=rate, codec=GREY) as add:
        for frame in clip.frames:
            add(frame)
    for place, path in enumerate(labels):
        masks = clip.masks[:, place].astype(np.uint8)
        write_film(path, masks, masks.shape, masks.dtype)


def bits_of(clip: Clip) -> np.ndarray:
    """Return the masks of every frame as a bit mask, uint16: t y x; bit k is structure k."""
    bits = np.zeros(clip.frames.shape, np.uint16)
    for place in range(len(STRUCTURES)):
        bits |= clip.masks[:, place].astype(np.uint16) << place
    return bits


def _settings_for(folder: Path) -> str:
    names = "\n".join(f'{1 << place} = "{name}"' for place, name in enumerate(STRUCTURES))
    path = (folder / "manifest.csv").resolve().as_posix().replace('"', '\\"')
    return f'data = "{path}"\nlabel_kind = "bits"\nstructure = "anatomy"\n\n[value_names]\n{names}\n'
