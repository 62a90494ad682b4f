"""What a step costs with a teacher's stored targets, against the same step without a teacher.

Both sides in one process, step by step in turn, so that a machine whose speed drifts treats them
alike; medians and their ratio. Wanted: at most 1.10.
"""

import argparse
import tempfile
from pathlib import Path
from statistics import median

import numpy as np
import torch

from common import keep, step
from segdistill.data.labels import Structure
from segdistill.networks.build import build_student
from segdistill.objectives import BOUNDARY, DISTILLATION, build_weighting
from segdistill.training.distilling import Distilling, Drawing, Taught
from segdistill.training.entries import Entry
from segdistill.training.objective import Objective

CELL = (Structure("cell", True),)


def entries(count: int, folder: Path) -> list[Entry]:
    """Return fields whose targets are memory-mapped half-precision maps, as the store keeps them."""
    draw = np.random.default_rng(0)
    made = []
    for number in range(count):
        stored = np.memmap(folder / f"{number}.bin", np.float16, "w+", shape=(2, 512, 512))
        stored[:] = draw.random((2, 512, 512))
        made.append(
            Entry(
                str(number),
                draw.random((1, 512, 512), dtype=np.float32),
                draw.integers(0, 50, (1, 512, 512), dtype=np.int32),
                np.array([True]),
                np.ones((512, 512), bool),
                {"cell": stored[0], "cell.boundary": stored[1]},
            )
        )
    return made


def problem(student: str, fields: list[Entry], *, taught: bool) -> Distilling:
    """Return one side: the same in all but the distillation term and the targets it reads."""
    objective = Objective(
        CELL,
        (0, 1) if taught else (),
        True,
        DISTILLATION["probability_mse"] if taught else None,
        BOUNDARY["gradient_3"],
    )
    torch.manual_seed(0)
    module = Taught(build_student(student, channels=1, outputs=2), build_weighting("uncertainty", objective.terms))
    drawing = Drawing(
        seed=0, batch_size=8, labelled_share=0.5, crop=256, scale=(0.75, 1.25), flips=True, turns=True, jitter=None
    )
    return Distilling(module, objective, training=fields, validation=[], drawing=drawing, weight_decay=0.01)


def main() -> None:
    """Measure and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--student", default="unet-mobilenetv3")
    parser.add_argument("--steps", type=int, default=20)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        fields = entries(8, Path(folder))
        sides = {name: problem(given.student, fields, taught=name == "taught") for name in ("plain", "taught")}
        optimisers = {name: torch.optim.AdamW(side.parameter_groups()) for name, side in sides.items()}
        seconds: dict[str, list[float]] = {name: [] for name in sides}
        for number in range(given.steps + 2):
            for name, side in sides.items():
                seconds[name].append(step(side, optimisers[name], number))
    measured = {name: median(values[2:]) for name, values in seconds.items()}
    keep(
        "training_step",
        {
            "student": given.student,
            "crop": 256,
            "batch": 8,
            "steps": given.steps,
            "seconds_without_teacher": round(measured["plain"], 4),
            "seconds_with_stored_targets": round(measured["taught"], 4),
            "ratio": round(measured["taught"] / measured["plain"], 3),
            "wanted": 1.10,
        },
    )


if __name__ == "__main__":
    main()
