"""Cases of files that hold many planes: each plane is a case, and the planes of a file are one group."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from segdistill.data.case import Case, image_files, shown
from segdistill.data.dicom_labels import is_segmentation, place_of
from segdistill.data.outlines import is_outlines
from segdistill.data.readers import count_label_planes, count_planes
from segdistill.data.readers.dicom_header import is_dicom
from segdistill.data.readers.planes import plane_path
from segdistill.errors import DataError


def divided(cases: Iterable[Case], *, axes: str | None = None) -> Iterator[Case]:
    """Yield each plane of each case as a case of its own; cases of one plane as they are.

    The third plane of ``scan`` is ``scan/0003``. Its label is the third plane of ``scan``'s label: of a NIfTI or TIFF
    file the one at the same place, of a DICOM-SEG file what it says of that frame.

    Args:
        cases: With their files.
        axes: Meaning of the axes of the images' files; None takes the files' own.

    Raises:
        DataError: The files of a case do not have equally many planes, or a label cannot be divided.
        MissingExtra: What reads such files is not installed.
    """
    for case in cases:
        planes = planes_of(case.image, axes=axes)
        if len(planes) == 1:
            yield _whole(case)
        else:
            yield from (_plane(case, image, number, len(planes)) for number, image in enumerate(planes, start=1))


def planes_of(image: Path | Mapping[str, Path], *, axes: str | None = None) -> Sequence[Path | Mapping[str, Path]]:
    """Return what stands for each plane of an image's file, or of its files, one per channel; a single plane is itself.

    Args:
        image: One file, or channel to file.
        axes: Meaning of the files' axes; None takes the files' own.

    Raises:
        DataError: The files do not have equally many planes.
        MissingExtra: What reads such files is not installed.
    """
    files = [image] if isinstance(image, Path) else list(image.values())
    counts = {path: count_planes(path, axes) for path in files}
    if len(set(counts.values())) > 1:
        found = ", ".join(f"{path} {count}" for path, count in counts.items())
        raise DataError(f"The channels of an image do not have equally many planes: {found}. Save them alike.")
    count = max(counts.values())
    if count == 1:
        return [image]
    if isinstance(image, Path):
        return [plane_path(image, number) for number in range(1, count + 1)]
    return [{name: plane_path(path, number) for name, path in image.items()} for number in range(1, count + 1)]


def named_planes(name: str, path: Path) -> Iterator[tuple[str, Path]]:
    """Yield name and path of each plane of a file of labels; of a single plane, those of the file.

    Raises:
        MissingExtra: What reads such files is not installed.
    """
    planes = count_label_planes(path)
    if planes == 1:
        yield name, path
    else:
        yield from ((f"{name}/{number:04d}", plane_path(path, number)) for number in range(1, planes + 1))


def notes(before: Sequence[Case], after: Sequence[Case]) -> Iterator[str]:
    """Yield a remark where files were divided.

    Args:
        before: Cases, one per file.
        after: The same, one per plane.
    """
    kept = {case.name for case in after}
    many = [case.name for case in before if case.name not in kept]
    if many:
        planes = len(after) - len(before) + len(many)
        yield (
            f"{len(many)} files hold {planes} planes, each of which is an image of its own; those of a file are one"
            f" group: {shown(many)}."
        )


def _plane(case: Case, image: Path | Mapping[str, Path], number: int, count: int) -> Case:
    """Return the case of one plane, counted from 1."""
    return replace(
        case,
        name=f"{case.name}/{number:04d}",
        image=image,
        labels={name: _part(path, number, count, case) for name, path in case.labels.items()},
        ignore=None if case.ignore is None else _part(case.ignore, number, count, case),
        field_of_view=None if case.field_of_view is None else _part(case.field_of_view, number, count, case),
    )


def _part(path: Path, number: int, count: int, case: Case) -> Path:
    """Return what a label file says of one plane."""
    image = image_files(case)[0]
    if is_segmentation(path):
        if not is_dicom(image) or place_of(path, image) is not None:
            raise DataError(
                f"{path} holds masks of pictures in other files than {image}, so it is not clear which belongs to which"
                " of its planes. Give the DICOM files themselves, or save the label as NIfTI on the image's grid."
            )
    else:
        own = 1 if is_outlines(path) else count_label_planes(path)
        if own != count:
            raise DataError(
                f"{path} has {own} planes, but its image {shown(image_files(case))} has {count}. Save the label as one"
                " TIFF, NIfTI or DICOM-SEG file of as many planes."
            )
    return plane_path(path, number)


def _whole(case: Case) -> Case:
    """Return a case of one plane, whose labels may be one place in files of masks for many pictures."""
    image = image_files(case)[0]
    labels: Mapping[str, Path] = {name: _place(path, image) for name, path in case.labels.items()}
    return case if labels == case.labels else replace(case, labels=labels)


def _place(path: Path, image: Path) -> Path:
    number = place_of(path, image) if is_segmentation(path) else None
    return path if number is None else plane_path(path, number)
