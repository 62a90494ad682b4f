"""Where the outlines lie that another tool drew for a case: a file of its own, or a COCO file of many."""

import glob
from collections.abc import Sequence
from pathlib import Path

from segdistill.data.case import shown
from segdistill.data.coco import image_of, inner_path, read_coco
from segdistill.data.folders import coco_files
from segdistill.errors import DataError

_SUFFIXES = (".geojson", ".roi", ".zip")


def find_outlines(folder: Path, case: str, part: str, *, pictures: Sequence[str]) -> Path | None:
    """Return the file of outlines of a part of a case, or the path into a COCO file; None where there is none.

    Args:
        folder: Searched for ``CASE/PART.geojson`` (or .roi, .zip); for part ``""`` for ``CASE.geojson`` or, as QuPath
            names it, ``CASE.tif.geojson``. If it holds COCO files and no label files, they are looked in.
        case: Name of the case. Of the images of COCO files it is the one whose name ends like it.
        part: Sub-path, or category of COCO files; ``""`` is the only category.
        pictures: Suffixes of label images, which must not lie beside outlines.

    Raises:
        DataError: There are several such files, a label image beside them, or nothing of this case in COCO files.
    """
    coco = coco_files(folder)
    if coco:
        return _in_coco(coco, case, part)
    bare = folder / case / part if part else folder / case
    paths = [path for suffix in _SUFFIXES if (path := bare.with_name(bare.name + suffix)).is_file()]
    if not part:
        paths += sorted(bare.parent.glob(f"{glob.escape(bare.name)}.*.geojson"))
    beside = [path for suffix in pictures if (path := bare.with_name(bare.name + suffix)).is_file()]
    if paths and len([*paths, *beside]) > 1:
        several = shown([*paths, *beside])
        raise DataError(f"Several files could be the labels of case {case!r}: {several}. Keep one of them.")
    return paths[0] if paths else None


def _in_coco(files: list[Path], case: str, part: str) -> Path:
    found = []
    for path in files:
        file = read_coco(path)
        categories = [number for number, name in file.categories.items() if name == part]
        if not part and len(file.categories) == 1:
            categories = list(file.categories)
        for image in file.by_end.get(case.rpartition("/")[2], ()):
            if f"/{image_of(file.images[image][0])}".endswith(f"/{case}"):
                found += [inner_path(path, file, image, number) for number in categories]
    if len(found) != 1:
        names = dict.fromkeys(name for path in files for name in read_coco(path).categories.values())
        what = f"category {part!r}" if part else "their only category"
        raise DataError(
            f"{shown(files)} have {len(found)} images that end in {case!r} with {what}; one is wanted. Their"
            f" categories: {shown(names) or 'none'}. Run the tool on that image, or correct the file."
        )
    return found[0]
