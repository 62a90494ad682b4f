"""COCO files in the label columns of a manifest: every image is found in them by its file's name."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from segdistill.data.case import Case, image_files, shown
from segdistill.data.coco import CocoFile, inner_path, is_coco, read_coco
from segdistill.data.coco_pairing import find_image, notes_on
from segdistill.errors import DataError, nearest


@dataclass
class Drawn:
    """What COCO files say of the rows of a manifest."""

    labels: dict[int, dict[str, Path]] = field(default_factory=dict)
    """Row to label set to file, of every case, COCO files replaced by paths into them."""

    files: dict[Path, CocoFile] = field(default_factory=dict)
    """Those that could be read."""

    errors: defaultdict[int, list[str]] = field(default_factory=lambda: defaultdict(list))
    """Row to what is wrong with it."""

    def notes(self) -> Iterator[str]:
        """Yield what people should know of the files."""
        for path, file in self.files.items():
            yield from notes_on(path, file)

    def categories(self) -> list[str]:
        """Return the categories of which there is any object, each once."""
        return list(dict.fromkeys(name for file in self.files.values() for name in file.used.values()))


def draw(cases: Mapping[int, Case], *, named: bool) -> Drawn:
    """Return the labels of the cases of a manifest, with what COCO files hold of them.

    Args:
        cases: By the number of their row.
        named: Whether the columns name their structure, as ``label:cell`` does: then it is one category of the
            file, or its only one. Otherwise every category of which the file has an object is a structure.
    """
    drawn = Drawn()
    owner: dict[tuple[Path, int], int] = {}
    told: set[tuple[Path, str]] = set()
    mixed = not named and any(is_coco(path) for case in cases.values() for path in case.labels.values())
    for row, case in cases.items():
        labels = drawn.labels[row] = {}
        for structure, path in case.labels.items():
            if not is_coco(path):
                labels[structure] = path
                if mixed:
                    drawn.errors[row].append(_MIXED.format(path.name))
                continue
            image = _image(drawn, row, case, path)
            if image is None:
                continue
            first = owner.setdefault((path, image), row)
            if first != row:
                name = drawn.files[path].images[image][0]
                drawn.errors[row].append(f"label: image {name!r} of {path.name} belongs to row {first} already")
            try:
                chosen = _categories(path, drawn.files[path], structure if named else None)
            except DataError as error:
                if (path, structure) not in told:
                    drawn.errors[row].append(str(error))
                told.add((path, structure))
                continue
            found = {name: inner_path(path, drawn.files[path], image, number) for name, number in chosen.items()}
            if set(found.values()) & set(labels.values()):
                drawn.errors[row].append(
                    f"label:{structure}: {path.name} has one category alone, which another column names already"
                )
            labels |= found
    return drawn


_MIXED = (
    "label: {!r} is a label image, but other rows name COCO files, whose categories are the structures; name the"
    " structure of both with a column label:NAME"
)


def _image(drawn: Drawn, row: int, case: Case, path: Path) -> int | None:
    """Return the number of a case's image in a COCO file; None where that is not clear, which is noted."""
    if path not in drawn.files:
        try:
            drawn.files[path] = read_coco(path)
        except DataError as error:
            text = f"label: {error}"
            if not any(text in errors for errors in drawn.errors.values()):
                drawn.errors[row].append(text)
            return None
    file = drawn.files[path]
    found = find_image(file, image_files(case))
    if len(found) == 1:
        return found[0]
    own = shown([each.name for each in image_files(case)], most=3)
    names = [file.images[number][0] for number in found]
    if names:
        drawn.errors[row].append(f"label: {path.name} has several images that could be {own}: {shown(names, most=3)}")
    else:
        there = shown([name for name, _ in file.images.values()], most=3)
        drawn.errors[row].append(f"label: {path.name} has no image called {own}; it has {there or 'none'}")
    return None


def _categories(path: Path, file: CocoFile, structure: str | None) -> dict[str, int]:
    """Return label set to category; of a named structure the category of this name, or the only one."""
    if structure is None:
        return {name: number for number, name in file.used.items()}
    numbers = {name: number for number, name in file.categories.items()}
    if structure not in numbers and len(numbers) != 1:
        raise DataError(
            f"label:{structure}: {path.name} has no category of this name.{nearest(structure, numbers)} It has:"
            f" {shown(numbers) or 'none'}"
        )
    return {structure: numbers.get(structure, next(iter(numbers.values())))}
