"""Which image of a COCO file is which image of a data set; and what people should know of such a file."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from segdistill.data.case import shown
from segdistill.data.coco import CocoFile, image_of, inner_path
from segdistill.errors import DataError


def names_in(file: CocoFile, names: Collection[str]) -> dict[int, str]:
    """Return the name in a data set of every image of a COCO file, by the image's number.

    Args:
        file: What the COCO file holds.
        names: Of the images of the data set, as "plate3/A01". An image of the file whose stem is none of
            them has the name that alone ends like it; if there are none or several, it keeps its stem.
    """
    by_end = defaultdict[str, list[str]](list)
    for name in names:
        by_end[name.rpartition("/")[2]].append(name)
    found = {}
    for number, (file_name, _) in file.images.items():
        wanted = image_of(file_name)
        alike = by_end[wanted.rpartition("/")[2]]
        found[number] = wanted if wanted in names or len(alike) != 1 else alike[0]
    return found


def inner_files(
    files: Iterable[tuple[Path, CocoFile]], names: Collection[str], *, category: str | None = None
) -> dict[str, dict[str, Path]]:
    """Return category to name of an image to the path that stands for its objects, of some COCO files.

    Args:
        files: Each with what it holds.
        names: As of ``names_in``.
        category: Of which alone to tell. None: of all of which a file has any object.

    Raises:
        DataError: Two images of the files have one name.
    """
    found = defaultdict[str, dict[str, Path]](dict)
    for path, file in files:
        chosen = file.used if category is None else {n: each for n, each in file.categories.items() if each == category}
        for image, name in names_in(file, names).items():
            for number, title in chosen.items():
                own = inner_path(path, file, image, number)
                twin = found[title].setdefault(name, own)
                if twin != own:
                    raise DataError(
                        f"{path}: image {file.images[image][0]!r} and {twin} are both labels of {name!r}. Keep one"
                        " of them."
                    )
    return dict(found)


def find_image(file: CocoFile, paths: Sequence[Path]) -> list[int]:
    """Return the numbers of those images of a COCO file whose names agree best with the path of an image.

    Names are compared without suffix, from their ends, folder by folder; among those that agree alike, the
    one of the same suffix is it.

    Args:
        file: What the COCO file holds.
        paths: Of the image; several where each channel has its own.

    Returns:
        One number where it is clear which image is meant; none where no name agrees.
    """
    ends = dict.fromkeys(image_of(path.name) for path in paths)
    numbers = [number for end in ends for number in file.by_end.get(end, ())]
    agreement = {number: max(_agreement(file.images[number][0], path) for path in paths) for number in numbers}
    best = max(agreement.values(), default=None)
    return [number for number, each in agreement.items() if each == best]


def _agreement(file_name: str, path: Path) -> tuple[int, bool]:
    """Return how many parts two names share from the end on, and whether their suffixes are one."""
    own, other = (name.split("/")[::-1] for name in (image_of(file_name), image_of(path.as_posix())))
    shared = next((place for place, (one, two) in enumerate(zip(own, other, strict=False)) if one != two), None)
    return min(len(own), len(other)) if shared is None else shared, PurePosixPath(file_name).suffix == path.suffix


def notes_on(path: Path, file: CocoFile) -> Iterator[str]:
    """Yield what is left aside of a COCO file, and what of it counts for nothing."""
    if file.unused:
        yield f"{path.name}: categories without any object are left aside: {shown(file.unused)}."
    yield from notes_on_crowds(path, file, set(file.used))


def notes_on_crowds(path: Path, file: CocoFile, categories: Collection[int]) -> Iterator[str]:
    """Yield a remark where crowds of some categories make pixels count for nothing."""
    crowds = {key: found for key, found in file.crowds.items() if key[1] in categories}
    if crowds:
        images = dict.fromkeys(file.images[image][0] for image, _ in crowds)
        yield (
            f"{path.name}: {sum(map(len, crowds.values()))} annotations mark crowds (iscrowd); their pixels count for"
            f" nothing, in {shown(images)}."
        )
