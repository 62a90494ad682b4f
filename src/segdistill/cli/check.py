"""`segdistill check`."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from segdistill.cli.tables import show
from segdistill.settings import Check

if TYPE_CHECKING:
    from segdistill.data.survey import LabelSetFacts, Survey

DEFAULTS = Check()


def check(data: Path, *, config: Annotated[Check, Parameter(name="*")] = DEFAULTS) -> int:
    """Read every image and label and say what would go wrong, all at once.

    The exit status is 1 if some files cannot be used.

    Args:
        data: Folder with images/ and, where they exist, labels/ of the same stems; or a CSV manifest.
        config: How to read it, and what it must offer.
    """
    from segdistill.data.datasets import read_dataset
    from segdistill.data.survey import survey
    from segdistill.data.survey_remarks import remarks

    dataset = read_dataset(
        data,
        channels=config.channels,
        axes=config.axes,
        label_kind="instances",  # opens no label file: the survey reads them all and says what is wrong with each
        structure=config.structure,
        pattern=config.pattern,
        fill_missing=config.fill_missing,
    )
    wanted = {"the student": config.student_channels, "the teacher": config.teacher_channels}
    found = survey(
        dataset,
        label_kind=config.label_kind,
        needed={who: names for who, names in wanted.items() if names},
        fill_non_finite=config.nan == "fill",
    )
    show(f"{data}: {len(dataset.cases)} images", ("what", "found"), _rows(found))
    for remark in remarks(dataset, found, near_duplicates=config.near_duplicates):
        print(remark)
    if found.faults:
        print(f"Cannot be used: {len(found.faults)}", *found.faults, sep="\n  ")
    else:
        print("Every file can be used.")
    return int(bool(found.faults))


def _rows(found: "Survey") -> list[tuple[str, str]]:
    from segdistill.data.survey_remarks import shown_size

    sizes = sorted({image.shape[1:] for image in found.images}, key=lambda size: size[0] * size[1])
    ends = [f"{height} × {width}" for height, width in (sizes[:1] + sizes[-1:] if len(sizes) > 1 else sizes)]
    return [
        ("readable images", str(len(found.images))),
        ("size (y × x)", " to ".join(ends)),
        ("channels", _listed(", ".join(image.channels) for image in found.images)),
        ("pixel size", _listed(shown_size(image.pixel_size) for image in found.images)),
        ("type", _listed(image.dtype for image in found.images)),
        *((f"labels {each.name}", _labels(each)) for each in found.label_sets),
    ]


def _listed(values: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(values))


def _labels(facts: "LabelSetFacts") -> str:
    files, values = len(facts.labels), [label.values for label in facts.labels]
    objects = f", {sum(values):,} objects" if facts.kind == "instances" else ""
    return f"{facts.kind}, {files} readable files{objects}, {values.count(0)} empty"
