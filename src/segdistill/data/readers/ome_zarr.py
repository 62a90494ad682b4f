"""OME-Zarr 0.4 and 0.5, through zarr; windows decode only the chunks they touch."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from segdistill.data.readers import pixel_size as sizes
from segdistill.data.readers.faults import native_dtype, reading
from segdistill.data.readers.layout import UNKNOWN, Layout, find_layout
from segdistill.data.readers.naming import name_channels, replaced_names
from segdistill.data.readers.source import OpenedImage
from segdistill.data.readers.zarr_chunks import CheckedChunks
from segdistill.errors import DataError

if TYPE_CHECKING:
    import zarr

_MARKERS = ("zarr.json", ".zgroup", ".zarray", ".zattrs")
_VERSIONS = ("0.4", "0.5")


def is_zarr(path: Path) -> bool:
    """Return whether a folder is a Zarr group or array."""
    return any((path / marker).is_file() for marker in _MARKERS)


def open_ome_zarr(path: Path, *, channels: Sequence[str] | None, axes: str | None, fill_missing: bool) -> OpenedImage:
    """Return the full resolution of an OME-Zarr image in a folder.

    Args:
        path: The folder of the image, or of a file that bioformats2raw made of one image.
        channels: Names, in the file's order; None takes those of its ``omero`` metadata.
        axes: Letters, in the file's order; None takes the file's own.
        fill_missing: Whether chunks of which there is no file hold the fill value on purpose. A
            shard that is there is trusted about which of its inner chunks are empty.

    Raises:
        DataError: The folder is no OME-Zarr of version 0.4 or 0.5, or a plate, or holds several
            images; or, when it is read, chunks are missing or damaged.
    """
    import zarr

    source = str(path)
    with reading(source, "OME-Zarr"):
        folder, group, metadata = _image(path, source)
        multiscale = _multiscale(metadata, source)
        place = str(multiscale["datasets"][0]["path"])
        array = group[place]
        if not isinstance(array, zarr.Array):
            raise DataError(f"{source} lists {place!r} as its full resolution, but that is no array. Make it again.")
        stated = [dict(axis) for axis in multiscale["axes"]]
        found = "".join(_letter(axis) for axis in stated)
        units = [str(axis.get("unit", "")) for axis in stated]
        scale = _scale(multiscale)
        labels = [channel.get("label") for channel in metadata.get("omero", {}).get("channels", [])]
        names = [None if label is None else str(label) for label in labels]
        native_dtype(np.dtype(array.dtype), source=source)
    if not len(found) == len(scale) == array.ndim:
        raise DataError(
            f"{source} names {len(found)} axes and {len(scale)} scales, but its array has {array.ndim} axes."
            " Make it again."
        )
    layout = find_layout(array.shape, found, axes, source=source)
    return OpenedImage(
        stored=CheckedChunks(array, folder / place, fill_missing),
        layout=layout,
        channels=name_channels(layout.count, found=names, given=channels, source=source),
        stated=replaced_names(names, channels),
        source=source,
        kind="OME-Zarr",
        pixel_size=_pixel_size(units, scale, layout, source),
    )


def _image(path: Path, source: str) -> tuple[Path, "zarr.Group", Mapping[str, Any]]:
    """Return the folder of the one image, its group and its OME metadata."""
    import zarr

    group = zarr.open_group(store=path, mode="r")
    metadata = _ome(group)
    if "plate" in metadata or "well" in metadata:
        raise DataError(f"{source} is a plate, not an image. Give one of its images, such as {path / 'A' / '1' / '0'}.")
    if "multiscales" in metadata or "bioformats2raw.layout" not in metadata:
        return path, group, metadata
    images = sorted(name for name, _ in group.groups() if name != "OME")
    if len(images) != 1:
        raise DataError(
            f"{source} holds {len(images)} images ({', '.join(images)}). Give one of them, such as {path / '0'}."
        )
    folder = path / images[0]
    image = zarr.open_group(store=folder, mode="r")
    return folder, image, _ome(image)


def _ome(group: "zarr.Group") -> dict[str, Any]:
    """Return OME metadata: under ``ome`` since version 0.5, at the top before."""
    attributes = dict(group.attrs)
    nested = attributes.get("ome")
    return dict(nested) if isinstance(nested, Mapping) else attributes


def _multiscale(metadata: Mapping[str, Any], source: str) -> Mapping[str, Any]:
    found = metadata.get("multiscales") or []
    if len(found) != 1:
        raise DataError(
            f"{source} holds {len(found)} OME-Zarr images, but one was wanted."
            " Give the folder whose attributes list `multiscales`."
        )
    version = metadata.get("version") or found[0].get("version")
    # The version may be left out; axes that are described, not only named, came with 0.4.
    described = all(isinstance(axis, Mapping) for axis in found[0].get("axes", [None]))
    if version not in {*_VERSIONS, None} or not described:
        raise DataError(
            f"{source} is OME-Zarr of version {version or 'none'}; versions {' and '.join(_VERSIONS)} are read, and"
            " axes must be described. Convert it again from its source, for example with `bioformats2raw`."
        )
    return found[0]


def _letter(axis: Mapping[str, Any]) -> str:
    name = str(axis.get("name", "")).lower()
    if axis.get("type") == "channel":
        return "c"
    return name if name in set("tczyx") else UNKNOWN


def _scale(multiscale: Mapping[str, Any]) -> list[float]:
    """Return the size of a stored pixel along each axis, in the axes' units."""
    steps = [
        multiscale["datasets"][0].get("coordinateTransformations", []),
        multiscale.get("coordinateTransformations", []),
    ]
    scales = [step["scale"] for transformations in steps for step in transformations if step.get("type") == "scale"]
    if not scales:
        return [1.0] * len(multiscale["axes"])
    return [math.prod(map(float, lengths)) for lengths in zip(*scales, strict=True)]


def _pixel_size(units: Sequence[str], scale: Sequence[float], layout: Layout, source: str) -> float | None:
    y, x = (sizes.micrometres(scale[place], units[place]) for place in (layout.y, layout.x))
    return sizes.square(y, x, source=source)
