"""``maps:FOLDER``: what another tool made of the same images, as a teacher."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Shaped
from pydantic import Field

from segdistill.augment.label_maps import label_maps
from segdistill.data.labels import Structure, output_names, read_labels
from segdistill.data.normalisation import FullRangeRule
from segdistill.data.outlines import is_outlines, read_uncounted
from segdistill.data.readers import read_image
from segdistill.data.rescale import nearest
from segdistill.errors import ConfigError, DataError, ShapeError
from segdistill.files import sha256_file
from segdistill.teachers.contract import NO_HINT, Contract, Hint, Teacher
from segdistill.teachers.description import Description, read_description
from segdistill.teachers.drawn_maps import find_outlines
from segdistill.teachers.request import Request, refuse_sam_only

NAME = "maps.toml"
_SUFFIXES = (".tif", ".tiff", ".ome.tif", ".npy", ".png")
_TOLERANCE = 1e-3  # rounding of tools that write float16 or sums of rounded parts

_EXAMPLE = """\
scale = 255                     # integer maps: the value that means probability 1
[outputs]
cell = ["interior", "border"]   # sum of the maps CASE/interior.tif and CASE/border.tif
"cell.boundary" = ["border"]
"""


class MapsDescription(Description):
    """What maps.toml says. Files lie at ``CASE/PART.tif`` (or .npy, .png), or at ``CASE.tif`` for part ``""``.

    Labels may be outlines as well: .geojson, .roi or .zip in their places, or COCO files alone in the folder, in
    which a part is a category; ``""`` is the only one.
    """

    folder: Path = Path()
    """Where the cases' files lie, relative to this file."""

    kind: Literal["probabilities", "labels"] = "probabilities"
    """Whether the files hold probabilities or label images (instances)."""

    scale: float | None = Field(default=None, gt=0)
    """Integer maps: the value that means probability 1. None: the maps are fractions of 1."""

    outputs: dict[str, tuple[str, ...]] = Field(min_length=1)
    """Output to the parts whose sum it is. Label images: structure to its one part."""


@dataclass(frozen=True, eq=False)
class MapsTeacher:
    """Stored maps, looked up by the name of the case."""

    contract: Contract
    folder: Path
    description: MapsDescription

    def maps(self, image: Float[np.ndarray, "c y x"], hint: Hint = NO_HINT) -> Float[np.ndarray, "k y x"]:
        """Return the stored maps of the case that the hint names; see ``Teacher``.

        Raises:
            DataError: A file is missing, or its values are no probabilities.
            ShapeError: The maps are not of the image's size.
        """
        if hint.case is None:
            raise ConfigError(f"Teacher {self.contract.name!r} looks maps up by case, but no case was named.")
        if self.description.kind == "labels":
            shape = (image.shape[1], image.shape[2])
            found = _label_maps(self.folder, hint.case, self.description, shape, hint.drawn_on or shape)
        else:
            found = _probability_maps(self.folder, hint.case, self.description)
        maps = np.stack(found)
        if maps.shape[1:] != image.shape[1:]:
            raise ShapeError(
                f"The maps of case {hint.case} in {self.folder} are {maps.shape[1:]} (y, x), but its image is"
                f" {image.shape[1:]}. Make them on the image's own grid."
            )
        return maps.astype(np.float32)


def build_maps(request: Request) -> Teacher:
    """Return the teacher at ``maps:FOLDER`` (with a maps.toml in it) or at ``maps:FILE.toml``.

    Raises:
        ConfigError: There is no description, or no folder of maps.
        DataError: The description is wrong.
    """
    refuse_sam_only(request, why="its maps are stored")
    described = request.path if request.path.suffix == ".toml" else request.path / NAME
    if not described.is_file():
        raise ConfigError(
            f"Teacher {request.name!r} needs a description in {described}"
            f' (or name a TOML file elsewhere that says folder = "…"). For example:\n{_EXAMPLE}'
        )
    description = read_description(described, MapsDescription)
    folder = described.parent / description.folder
    if not folder.is_dir():
        raise ConfigError(f"{described} names the folder {folder}, which is not there. Correct it.")
    contract = Contract(
        name=request.name,
        channels=request.channels or (),
        rule=FullRangeRule(),
        outputs=_outputs(description, described),
        weights_sha256=_hash(folder, described),
        licence=description.licence,
        pixel_size=description.pixel_size,
        needs=("case",),
        labels_seen=description.labels_seen,
        note=description.note,
    )
    return MapsTeacher(contract, folder, description)


def _outputs(description: MapsDescription, described: Path) -> tuple[str, ...]:
    if description.kind == "probabilities":
        return tuple(description.outputs)
    several = [name for name, parts in description.outputs.items() if len(parts) != 1]
    if several or description.scale is not None:
        raise DataError(
            f"{described}: label images have no scale, and one part per structure"
            f' (wrong: {", ".join(several) or "scale"}). Correct it, or say kind = "probabilities".'
        )
    return output_names([Structure(name, instances=True) for name in description.outputs])


def _probability_maps(folder: Path, case: str, description: MapsDescription) -> list[Float[np.ndarray, "_ _"]]:
    parts = {part for parts in description.outputs.values() for part in parts}
    read = {part: _probability(*_plane(folder, case, part), description.scale) for part in sorted(parts)}
    maps = []
    for name, parts in description.outputs.items():
        total = np.sum([read[part] for part in parts], axis=0, dtype=np.float64)
        if total.size and total.max() > 1 + _TOLERANCE:
            raise DataError(
                f"Case {case}: {' + '.join(parts)} adds up to {total.max():.4g} for {name!r}, but a probability is"
                " at most 1. Correct the scale or the parts."
            )
        maps.append(total.clip(0, 1))
    return maps


def _probability(plane: Shaped[np.ndarray, "y x"], source: str, scale: float | None) -> Float[np.ndarray, "y x"]:
    low, high = (float(plane.min()), float(plane.max())) if plane.size else (0.0, 0.0)
    if scale is None and plane.dtype.kind in "iu":
        raise DataError(
            f"{source} holds integers ({plane.dtype}, {low:g} to {high:g}), and nothing says which value means"
            f" probability 1. Put for example scale = {high:g} into {NAME}, if that is what the tool meant."
        )
    top = scale or 1.0
    if not (np.isfinite(low) and np.isfinite(high)) or low < -_TOLERANCE * top or high > (1 + _TOLERANCE) * top:
        raise DataError(
            f"{source} holds values from {low:g} to {high:g}, which are no probabilities with scale {top:g}."
            f" Correct scale in {NAME}, or turn scores into probabilities first."
        )
    return plane.astype(np.float64) / top


def _label_maps(
    folder: Path, case: str, description: MapsDescription, shape: tuple[int, int], drawn_on: tuple[int, int]
) -> list[Float[np.ndarray, "_ _"]]:
    maps = []
    for (part,) in description.outputs.values():
        path = find_outlines(folder, case, part, pictures=_SUFFIXES) or _find(folder, case, part)[0]
        labels = read_labels(path, shape=drawn_on)
        if read_uncounted(path, drawn_on).any():
            raise DataError(
                f"{path} marks crowds (iscrowd), but a teacher says something of every pixel. Take them out of the"
                " file, or give the file as labels."
            )
        if is_outlines(path):
            labels = nearest(labels[None], shape)[0]
        maps += list(label_maps(torch.from_numpy(labels)[None, None], [True])[0].numpy())
    return maps


def _plane(folder: Path, case: str, part: str) -> tuple[Shaped[np.ndarray, "y x"], str]:
    """Return one part of a case, and where it was found, for messages."""
    path, plane = _find(folder, case, part)
    image = read_image(path)
    if plane is None and len(image.channels) == 1:
        return image.array[0], str(path)
    if plane in image.channels:
        return image.array[image.channels.index(plane)], f"{path}, {plane}"
    raise DataError(f"{path} has the planes {', '.join(image.channels)}, but {plane or 'one plane'} is wanted.")


def _find(folder: Path, case: str, part: str) -> tuple[Path, str | None]:
    """Return the file of a part, and the plane in it: ``CASE/PART.tif``, or plane PART of ``CASE.tif``."""
    candidates: Mapping[Path, str | None] = {
        **{folder / case / f"{part}{suffix}": None for suffix in _SUFFIXES if part},
        **{folder / f"{case}{suffix}": part or None for suffix in _SUFFIXES},
    }
    for path, plane in candidates.items():
        if path.is_file():
            return path, plane
    raise DataError(
        f"There are no maps for case {case!r}: neither {folder / case / (part or '…')}.tif nor {folder / case}.tif"
        " (nor .npy, .png). Run the tool on that image, or leave it out."
    )


def _hash(folder: Path, described: Path) -> str:
    """Return one hash of all maps: other files, other targets."""
    digest = hashlib.sha256(sha256_file(described).encode())
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(folder).as_posix()} {sha256_file(path)}\n".encode())
    return digest.hexdigest()
