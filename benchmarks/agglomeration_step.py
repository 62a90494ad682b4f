"""What a step of agglomeration costs with three teachers' stored targets, against the same step with one.

Three sides in one process, step by step in turn, so that a machine whose speed drifts treats them
alike; medians and their ratios: one teacher, three of its kind, and three with a balancing that must
look at the losses of the whole step first (its pass without gradient is the price of shares that do
not depend on how a step is cut). Wanted of the second: at most 1.15. There are few images, so from
the third step on their finished tokens are in memory, as they are after the first epoch wherever they
fit.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import numpy as np
import torch

from common import keep, step
from segdistill.data.image import Image
from segdistill.data.normalisation import FullRangeRule
from segdistill.data.sample import Sample
from segdistill.networks.tokens import build_token_encoder
from segdistill.objectives import build_balancing, standardisation
from segdistill.objectives.moments import Moments
from segdistill.targets import Filling, View, create_store, fill_targets, image_key, new_header
from segdistill.teachers.contract import Contract
from segdistill.training.agglomerating import Agglomerated, AgglomeratingProblem, Lessons
from segdistill.training.pictures import Picture, make_pictures
from segdistill.training.stored_teacher import StoredTeacher

IMAGES, CPU = 8, torch.device("cpu")


class Noise:
    """Features of the size that a DINOv2 ViT-B/14 has at 518 pixels; their values cost nothing to make."""

    def __init__(self, name: str, grid: int, width: int) -> None:
        self.contract = Contract(
            name=name, channels=("gray",), rule=FullRangeRule(), outputs=(), weights_sha256=name, licence="MIT",
            tokens={"tokens": (14, width)},
        )  # fmt: skip
        self.shape = (grid, grid, width)

    def maps(self, image: np.ndarray, hint: object = None) -> np.ndarray:  # noqa: ARG002
        return np.zeros((0, *image.shape[1:]), np.float32)

    def tokens(self, image: np.ndarray, names: tuple[str, ...]) -> dict[str, np.ndarray]:  # noqa: ARG002
        return dict.fromkeys(names, np.random.default_rng(0).normal(size=self.shape).astype(np.float32))


def fields(side: int) -> dict[str, Sample]:
    """Return images of noise."""
    draw = np.random.default_rng(0)
    made = {}
    for number in range(IMAGES):
        image = Image(draw.integers(0, 256, (1, side, side), dtype=np.uint8), ("gray",), None, f"{number}.tif")
        made[str(number)] = Sample(
            str(number), image, np.zeros((1, side, side), np.int32), np.array([False]), np.ones((side, side), bool)
        )
    return made


def stored(folder: Path, name: str, samples: dict[str, Sample], grid: int, width: int) -> StoredTeacher:
    """Return a teacher whose tokens lie in a store, int8, on its own grid."""
    teacher = Noise(name, grid, width)
    store = create_store(folder / name, new_header(teacher.contract, tokens=("tokens",)))
    fill_targets(store, Filling(teachers=[teacher], names=list(samples), read=samples.__getitem__))
    moments = Moments(1000, np.zeros(width), 1000 * np.diag(np.linspace(0.1, 3, width)))
    return StoredTeacher(name, store, "tokens", standardisation("phi-s", moments), moments.mean)


def problem(
    student: str, teachers: Sequence[StoredTeacher], pictures: list[Picture], *, batch: int, balancing: str
) -> AgglomeratingProblem:
    """Return one side."""
    torch.manual_seed(0)
    encoder = build_token_encoder(student, channels=1)
    labels = [each.label for each in teachers]
    module = Agglomerated(
        encoder, {each.label: each.width for each in teachers}, ("token_mse",), build_balancing(balancing, labels)
    )
    lessons = Lessons(terms=("token_mse",), batch_size=batch, weight_decay=0.01, jitter=None, seed=0)
    return AgglomeratingProblem(module, teachers, lessons, training=pictures, validation=[])


def main() -> None:
    """Measure and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--student", default="unet-mobilenetv3")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--grid", type=int, default=37)
    parser.add_argument("--width", type=int, default=768)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        samples = fields(given.size)
        teachers = [stored(Path(folder), name, samples, given.grid, given.width) for name in ("a", "b", "c")]
        stride = build_token_encoder(given.student, channels=1).stride
        pictures = [
            picture
            for name, sample in samples.items()
            for picture in make_pictures(
                name, sample.image.array / np.float32(255), image_key(sample.image), views=[View()], side=given.size,
                stride=stride,
            )
        ]  # fmt: skip
        chosen = {"one": (teachers[:1], "uniform"), "three": (teachers, "uniform"), "three_mlp": (teachers, "mlp")}
        sides = {
            name: problem(given.student, group, pictures, batch=given.batch, balancing=balancing)
            for name, (group, balancing) in chosen.items()
        }
        optimisers = {name: torch.optim.AdamW(side.parameter_groups()) for name, side in sides.items()}
        seconds: dict[str, list[float]] = {name: [] for name in sides}
        for number in range(given.steps + 2):
            for name, side in sides.items():
                seconds[name].append(step(side, optimisers[name], number))
    measured = {name: median(values[2:]) for name, values in seconds.items()}
    keep(
        "agglomeration_step",
        {
            "student": given.student,
            "size": given.size,
            "batch": given.batch,
            "steps": given.steps,
            "teacher_grid": given.grid,
            "teacher_width": given.width,
            "seconds_with_one_teacher": round(measured["one"], 4),
            "seconds_with_three": round(measured["three"], 4),
            "seconds_with_three_balanced_by_losses": round(measured["three_mlp"], 4),
            "ratio_three_to_one": round(measured["three"] / measured["one"], 3),
            "ratio_of_balancing_by_losses": round(measured["three_mlp"] / measured["three"], 3),
            "wanted": 1.15,
        },
    )


if __name__ == "__main__":
    main()
