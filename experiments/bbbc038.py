"""`bbbc038`: a SAM-architecture teacher, fitted on the training groups, teaches four students; baselines beside them.

The teacher is the small embedded SAM, all its weights fitted to nuclei, out of fold: each training image is described
by one that was fitted on other groups. It sees what the students see, so nothing here is cross-modal; what may help is
that it speaks of every training image where students have labels of few. Scores are told by modality too:
fluorescence, stained tissue, bright field. Near-duplicates share a group, and every modality is divided in the same
shares.
"""

import argparse
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from common import lend_teachers, run, write_manifest
from segdistill.data.case import Case
from segdistill.data.datasets import Dataset, read_dataset
from segdistill.data.duplicates import joined_groups, near_duplicate_groups
from segdistill.data.sample import read_sample
from segdistill.data.splits import split_cases
from segdistill.settings import Adaptation, Distill, Protocol
from segdistill.settings.adaptation import Adapting
from segdistill.study.conclusion import Finished

STUDENTS = ("unet-mobilenetv3", "unet-resnet18", "unet-efficientnet-b0", "unet-swin-tiny")
LABELS = 32
PROTOCOL = Protocol(steps=600, batch_size=4, crop=192, ema=0.99, validations=6)
ADAPTATION = Adaptation(how="full", size=256, protocol=Adapting(steps=400, batch_size=4))
"""Both fixed before the first result was seen."""
SPLIT = (0.5, 0.1, 0.4)


def modality(case: Case, dataset: Dataset) -> str:
    """Return what kind of picture it is, by its colours and its background."""
    array = read_sample(case, dataset).image.array
    if (array != array[:1]).any():
        return "stained tissue"
    return "fluorescence" if array.mean() < 0.4 * 255 else "bright field"


def manifest(data: Path, out: Path) -> Path:
    """Write a manifest of all images, divided by modality and group."""
    path = out / "bbbc038.csv"
    if path.exists():
        return path
    dataset = read_dataset(data / "bbbc038", structure="nucleus", label_kind="instances")
    kinds = {case.name: modality(case, dataset) for case in dataset.cases}
    cases = tuple(replace(case, group=f"{kinds[case.name]} {case.group}") for case in dataset.cases)
    cases = joined_groups(cases, near_duplicate_groups(cases))
    rows: list[dict[str, str]] = []
    for kind in dict.fromkeys(kinds.values()):
        own = [case for case in cases if kinds[case.name] == kind]
        rows += _rows(split_cases(own, fractions=SPLIT, seed=0).items(), kind)
    return write_manifest(path, rows)


def _rows(parts: Iterable[tuple[str, tuple[Case, ...]]], kind: str) -> Iterable[dict[str, str]]:
    for part, cases in parts:
        for case in cases:
            yield {
                "image": str(case.image.resolve()),
                "label": str(next(iter(case.labels.values())).resolve()),
                "group": case.group,
                "split": part,
                "#modality": kind,
            }


def by_modality(finished: Finished) -> dict[str, Any]:
    """Return which field is of which modality: a group's name begins with it."""
    fields = next(iter(finished.account.values())).tables["dice"].fields
    kinds = ("fluorescence", "stained tissue", "bright field")
    return {"modality": {field: next(kind for kind in kinds if field.startswith(kind)) for field in fields}}


def main() -> None:
    """Run what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--students", nargs="+", choices=STUDENTS, default=STUDENTS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--at-once", type=int, default=1)
    given = parser.parse_args()
    for student in given.students:
        settings = Distill(
            data=manifest(given.data, given.runs),
            out=given.runs / "bbbc038" / student,
            structure="nucleus",
            label_kind="instances",
            invert="bright",
            by="modality",
            teacher="sam-tiny-tissue-control",  # the one that sees one channel
            teacher_channels=("luma",),
            adapt=ADAPTATION,
            student=student,
            student_channels=("luma",),
            labels=LABELS,
            all_labels=True,
            seeds=tuple(given.seeds),
            protocol=PROTOCOL,
            at_once=given.at_once,
        )
        lend_teachers(given.runs.glob("bbbc038/*"), settings)
        run(f"bbbc038/{student}", settings, extra=by_modality)


if __name__ == "__main__":
    main()
