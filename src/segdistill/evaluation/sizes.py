"""How large the images are whose labels or predictions are outlines, which have no size of their own."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from segdistill.data.case import shown
from segdistill.data.outlines import is_outlines, stated_shape
from segdistill.data.readers import open_image
from segdistill.errors import ConfigError, DataError
from segdistill.evaluation.pairing import Pair, Pairing
from segdistill.evaluation.sides import is_folder, picture_files


def with_sizes(pairing: Pairing, images: Path | None) -> Pairing:
    """Return pairs that know their image's size, wherever it is needed or an image says it.

    It is that of the image itself, if images are named. Otherwise it is that of the label or, if that is
    outlines, of the prediction or of a mask; COCO files state it.

    Args:
        pairing: See ``pair_up``.
        images: Folder of the images, of the labels' stems, or one image where there is one label. None: none.

    Raises:
        ConfigError: There is one image for several labels.
        DataError: There is no such folder, no image belongs to any label, or nothing says how large an image
            is whose label is outlines.
    """
    if images is not None:
        pairing = replace(pairing, pairs=tuple(_with_images(pairing.pairs, images)))
    pairs = tuple(replace(pair, size=next(_sizes(pair), None)) if _needs_size(pair) else pair for pair in pairing.pairs)
    unknown = [pair.name for pair in pairs if pair.size is None and is_outlines(pair.label)]
    if unknown:
        where = "Name the folder of the images: --images." if images is None else f"Add their images to {images}."
        raise DataError(
            f"Nothing says how large the images of {len(unknown)} labels are: {shown(unknown, most=5)}. Outlines have"
            f" no size of their own, and no label image or prediction image that can be read is beside them. {where}"
        )
    return replace(pairing, pairs=pairs)


def _needs_size(pair: Pair) -> bool:
    files = (pair.label, pair.prediction, pair.ignore, pair.field_of_view)
    return pair.image is not None or any(path is not None and is_outlines(path) for path in files)


def _sizes(pair: Pair) -> Iterator[tuple[int, int]]:
    """Yield what the files of a pair say of its size, the most reliable first."""
    for path in (pair.image, pair.label, pair.prediction, pair.ignore, pair.field_of_view):
        size = None if path is None else _size(path)
        if size is not None:
            yield size


def _size(path: Path) -> tuple[int, int] | None:
    if is_outlines(path):
        try:
            return stated_shape(path)
        except DataError:
            return None
    try:
        with open_image(path) as opened:
            return opened.shape[1], opened.shape[2]
    except DataError:  # told, with the reason, by whoever scores the file
        return None


def _with_images(pairs: tuple[Pair, ...], images: Path) -> Iterator[Pair]:
    if not images.exists():
        raise DataError(f"There is no file or folder {images}. Check --images.")
    if not is_folder(images):
        if len(pairs) > 1:
            raise ConfigError(f"{images} is one file, but there are several labels. Name the folder of all images.")
        yield from (replace(pair, image=images) for pair in pairs)
        return
    files = picture_files(images)
    if not any(pair.name in files for pair in pairs):
        raise DataError(
            f"{images} (--images) has no image of any label: {shown(sorted(files), most=3)};"
            f" {shown([pair.name for pair in pairs], most=3)}. Images have the labels' stems."
        )
    yield from (replace(pair, image=files.get(pair.name)) for pair in pairs)
