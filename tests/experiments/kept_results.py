"""Small kept results, made up."""

import json

import numpy as np

from results_page.stored import Result
from segdistill.settings import Distill

ROLES = {
    "baseline": "baseline",
    "student": "student",
    "control": "control",
    "targets-alone": "targets alone",
    "all-labels": "all-labels",
    "all-labels-student": "all-labels student",
    "teacher": "teacher",
}
FULL = {
    "baseline": [[0.5]],
    "student": [[0.6]],
    "control": [[0.55]],
    "targets-alone": [[0.52]],
    "all-labels": [[0.62]],
    "all-labels-student": [[0.63]],
    "teacher": [[0.9]],
}


def kept(dice, *, seeds=(0,), fields=("a",), labels=1, name="some", ap50=True, **more):
    """One kept result: arm → Dice by seed and field; its AP@0.5 is half of that."""
    settings = Distill(
        data="data",
        out="out",
        teacher="fit:unet-resnet18",
        teacher_channels=("nucleus", "phase"),
        student_channels=("nucleus",),
        control="fit:unet-resnet18" if "control" in dice else None,
        targets_alone="targets-alone" in dice,
        all_labels="all-labels" in dice,
        labels=labels,
        seeds=seeds,
    ).resolved()
    scores = {}
    for arm, values in dice.items():
        own = np.array(values, dtype=float)
        head = {"seeds": [0] if arm == "teacher" else list(seeds), "fields": list(fields)}
        scores[arm] = {
            "role": ROLES[arm],
            "labels": 2 if arm == "baseline" else 4,
            "dice": {**head, "values": own.tolist()},
        }
        if ap50:
            scores[arm]["ap50"] = {**head, "values": (own / 2).tolist()}
    content = {
        "settings": {key: value for key, value in settings.items() if key not in {"data", "out"}},
        "verdict": {"answer": "unclear", "sentences": ["A kept sentence.", "And another."]},
        "scores": scores,
        "split": {"train": ["x", "y"], "validation": ["z"], "test": list(fields)},
        "student": {"parameters": 14_300_000},
        "minutes": {f"{arm}/{seed}": 1.5 for arm in dice if arm != "teacher" for seed in seeds},
        "machine": {"system": "Linux x86_64", "processor": "A processor"},
        "segdistill": "0.1.0",
        "seconds": 60,
    }
    return Result(name, json.loads(json.dumps(content | more)))


def cells(table):
    """Rows of a Markdown table, by their first cell."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    return {row[0]: row[1:] for row in rows}


def two_fields(student=((0.6, 0.8),), teacher=((0.9, 0.9),), **more):
    return kept(
        {"baseline": [[0.5, 0.5]], "student": list(student), "teacher": list(teacher)}, fields=("a", "b"), **more
    )


def hela(fold, *, seeds=(0,), student="resnet18", dice=None, **more):
    dice = {arm: values * len(seeds) if arm != "teacher" else values for arm, values in (dice or FULL).items()}
    return kept(dice, seeds=seeds, fields=(f"HeLa{fold}",), name=f"livecell_phase/{student}_fold{fold}", **more)


def by_name(*results):
    return {result.name: result for result in results}
