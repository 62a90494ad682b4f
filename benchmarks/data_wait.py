"""How long training waits for data: 256-pixel crops of real nuclei (or random fields of their sizes).

The engine itself measures it: the share of a run's time in which a step was ready and its samples
were not. Wanted: below 5 % on two cores.
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from common import keep
from segdistill.data.datasets import read_dataset
from segdistill.data.sample import read_sample
from segdistill.engine import Plan, read_log, train
from segdistill.study.arms import RULE
from segdistill.training.entries import Entry, make_entry
from training_step import problem


def random_fields(count: int) -> list[Entry]:
    """Return random fields of BBBC038's sizes."""
    draw = np.random.default_rng(0)
    shapes = [(256, 256), (256, 320), (520, 696), (360, 360)] * (count // 4)
    return [
        Entry(
            str(number),
            draw.random((1, *shape), dtype=np.float32),
            draw.integers(0, 50, (1, *shape), dtype=np.int32),
            np.array([True]),
            np.ones(shape, bool),
        )
        for number, shape in enumerate(shapes)
    ]


def real_fields(data: Path, count: int) -> list[Entry]:
    """Return the first grey fields of BBBC038."""
    dataset = read_dataset(data, label_kind="instances", structure="cell")
    samples = (read_sample(case, dataset) for case in dataset.cases)
    grey = (sample for sample in samples if len(sample.image.channels) == 1)
    return [make_entry(s, channels=s.image.channels, rule=RULE) for s, _ in zip(grey, range(count), strict=False)]


def main() -> None:
    """Measure and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of bbbc038; random fields of its sizes where it is missing")
    parser.add_argument("--student", default="unet-mobilenetv3")
    parser.add_argument("--steps", type=int, default=30)
    given = parser.parse_args()
    entries = real_fields(given.data, 64) if given.data else random_fields(64)
    said = [np.random.default_rng(1).random(entry.counts.shape).astype(np.float16) for entry in entries]
    taught = [
        replace(entry, target=dict.fromkeys(("cell", "cell.boundary"), maps))
        for entry, maps in zip(entries, said, strict=True)
    ]
    with tempfile.TemporaryDirectory() as folder:
        plan = Plan(steps=given.steps, batch_size=8, micro_batch=8, log_every=5, validate_every=None, device="cpu")
        train(problem(given.student, taught, taught=True), Path(folder), plan, notice=print)
        lines = [line for line in read_log(Path(folder)) if "data_wait" in line][1:]
    wait, rate = (float(np.mean([line[what] for line in lines])) for what in ("data_wait", "images_per_s"))
    step = plan.batch_size / rate
    keep(
        "data_wait",
        {
            "images": "bbbc038" if given.data else "random fields of its sizes",
            "student": given.student,
            "crop": 256,
            "batch": 8,
            "steps": given.steps,
            "seconds of a step": round(step, 4),
            "seconds of it that wait for data": round(wait * step, 4),
            "data_wait": round(wait, 4),
            "images_per_s": round(rate, 2),
            "wanted": 0.05,
        },
    )


if __name__ == "__main__":
    main()
