"""What a step of distillation from hidden layers costs, from a teacher's stored targets, against a step with labels.

Both sides in one process, step by step in turn, so that a machine whose speed drifts treats them
alike; medians and their ratio. The teacher's targets are as large as those of SAM ViT-B at the side that is named:
four layers of width 768, and maps. Wanted: at most 1.15.
"""

import argparse
import tempfile
from pathlib import Path
from statistics import median

import numpy as np
import torch

from common import keep, step
from segdistill.data.labels import Structure
from segdistill.data.normalisation import PercentileRule
from segdistill.networks.build import build_student
from segdistill.networks.matched import MatchedStudent
from segdistill.objectives import BOUNDARY, build_weighting
from segdistill.settings import TaskSpecific
from segdistill.targets import Key, TargetStore, create_store, drawn_views, new_header
from segdistill.targets.quantise import store_maps, store_tokens
from segdistill.teachers.contract import Contract
from segdistill.training.distilling import Distilling, Drawing, Taught
from segdistill.training.entries import Entry
from segdistill.training.objective import Objective
from segdistill.training.pretraining import PretrainingProblem, Sights
from segdistill.training.pretraining_task import TaskLesson
from segdistill.training.pretraining_told import Views

LESION = (Structure("lesion", False),)
LAYERS = ("hidden.3", "hidden.6", "hidden.9", "hidden.12")
WIDTH, PATCH, IMAGE, CROP, BATCH = 768, 16, 512, 256, 8


def entries(count: int) -> list[Entry]:
    """Return labelled fields."""
    draw = np.random.default_rng(0)
    return [
        Entry(
            str(number),
            draw.random((1, IMAGE, IMAGE), dtype=np.float32),
            draw.integers(0, 2, (1, IMAGE, IMAGE), dtype=np.int32),
            np.array([True]),
            np.ones((IMAGE, IMAGE), bool),
        )
        for number in range(count)
    ]


def stored(folder: Path, fields: list[Entry], side: int, views: int) -> TargetStore:
    """Return a store of what a teacher that sees squares of this side might have said."""
    contract = Contract(
        name="made up",
        channels=("grey",),
        rule=PercentileRule(),
        outputs=("lesion",),
        weights_sha256="0",
        licence="none",
        size=side,
        tokens=dict.fromkeys(LAYERS, (PATCH, WIDTH)),
    )
    store = create_store(folder / "store", new_header(contract, tokens=LAYERS, views=drawn_views(views)))
    draw = np.random.default_rng(1)
    cells = side // PATCH
    with store.writing() as writer:
        for field in fields:
            for number in range(views):
                arrays = {"maps": store_maps(field.image, "float16")} if number == 0 else {}
                for name in LAYERS:
                    grid = draw.standard_normal((cells, cells, WIDTH), dtype=np.float32)
                    arrays |= {f"{name}/{part}": array for part, array in store_tokens(grid, "int8").items()}
                writer.put(Key(field.name, number), arrays, {"case": field.name})
    return store


def with_labels(student: str, fields: list[Entry]) -> Distilling:
    """Return a supervised step: cross-entropy, Dice and boundary."""
    objective = Objective(LESION, (), True, None, BOUNDARY["gradient_3"])
    module = Taught(build_student(student, channels=1, outputs=1), build_weighting("uncertainty", objective.terms))
    drawing = Drawing(
        seed=0, batch_size=BATCH, labelled_share=0.5, crop=CROP, scale=(0.75, 1.25), flips=True, turns=True, jitter=None
    )
    return Distilling(module, objective, training=fields, validation=[], drawing=drawing, weight_decay=0.01)


def with_hidden_layers(student: str, fields: list[Entry], store: TargetStore) -> PretrainingProblem:
    """Return a step of task-specific distillation."""
    views = Views(store, fields, {field.name: field.name for field in fields}, LAYERS, maps=True)
    module = MatchedStudent(build_student(student, channels=1, outputs=1), [WIDTH] * len(LAYERS))
    sights = Sights(seed=0, batch_size=BATCH, crop=CROP, scale=(1, 1), flips=True, turns=True, jitter=None)
    return PretrainingProblem(TaskLesson(module, views, sights, TaskSpecific()), weight_decay=0.01)


def main() -> None:
    """Measure and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--student", default="vit-tiny")
    parser.add_argument("--side", type=int, default=1024, help="side of what the teacher sees, pixels")
    parser.add_argument("--steps", type=int, default=20)
    given = parser.parse_args()
    fields = entries(4)
    with tempfile.TemporaryDirectory() as folder:
        store = stored(Path(folder), fields, given.side, views=2)
        torch.manual_seed(0)
        sides = {
            "labels": with_labels(given.student, fields),
            "hidden": with_hidden_layers(given.student, fields, store),
        }
        optimisers = {name: torch.optim.AdamW(side.parameter_groups()) for name, side in sides.items()}
        seconds: dict[str, list[float]] = {name: [] for name in sides}
        for number in range(given.steps + 2):
            for name, side in sides.items():
                seconds[name].append(step(side, optimisers[name], number))
    measured = {name: median(values[2:]) for name, values in seconds.items()}
    keep(
        "pretrain_step",
        {
            "student": given.student,
            "teacher_side": given.side,
            "crop": CROP,
            "batch": BATCH,
            "steps": given.steps,
            "seconds_supervised": round(measured["labels"], 4),
            "seconds_hidden_layers_from_stored_targets": round(measured["hidden"], 4),
            "ratio": round(measured["hidden"] / measured["labels"], 3),
            "wanted": 1.15,
        },
    )


if __name__ == "__main__":
    main()
