"""Task-specific distillation with few labels (P3, arXiv:2503.06976) on one of the paper's five data sets.

    segdistill datasets fetch kidney-us --folder data     # or what it tells you to do by hand
    segdistill datasets manifest kidney-us --source data/kidney-us --out data/kidney-us
    python examples/p3.py kidney-us --data data/kidney-us/manifest.csv --sam weights/sam_vit_b.pth --runs runs/kidney-us

Stages, each in a folder of its own; the same command goes on where an interrupted one stopped:

1. a diffusion model of the training images draws a transfer set;
2. for every label budget a SAM is fitted to the task on so many labelled images, by low-rank changes;
3. encoders of the student are pre-trained, all for as many steps: by restoring hidden patches (MAE), by telling images
   apart (MoCo v3), by the features of the SAM as it is, by hidden layers and predictions of the fitted ones; on the
   training images alone and with 1000, 2000 and 3000 drawn ones beside them;
4. one study fine-tunes and compares them all with a student from scratch, and with one that begins with MAE-Lite's
   ImageNet weights where ``--mae`` names them.

The paper's own numbers stand apart from these: with 80 labels on KidneyUS 28 % more Dice than task-agnostic
distillation, with 100 on CHAOS 11 % more than MAE. Budgets other than 80 and 100 are ours.
"""

import argparse
import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from segdistill import study
from segdistill.files import whole_file
from segdistill.settings import Adapt, Pretrain, Study, Synthesize, validated

COLOUR = ("red", "green", "blue")


@dataclass(frozen=True)
class Task:
    """One of the paper's data sets."""

    channels: tuple[str, ...]
    """That teacher and student see."""

    budgets: tuple[int, ...]
    """Labelled training images; smaller budgets are part of larger ones."""

    mirrored: bool = True
    """Whether a mirror image shows the same task; not where left and right have names."""


TASKS: Mapping[str, Task] = {
    "kidney-us": Task(("luma",), (40, 80, 160)),
    "autooral": Task(COLOUR, (40, 80, 160)),
    "chaos": Task(("luma",), (50, 100, 200), mirrored=False),
    "ph2": Task(COLOUR, (20, 40, 80)),
    "drive": Task(COLOUR, (5, 10)),
}

TRANSFER = (0, 1000, 2000, 3000)
"""Drawn images beside the training images."""

STEPS = 20_000
"""Of every pre-training."""

SIDE = 224
"""Of what encoders see, pixels."""


@dataclass(frozen=True)
class Places:
    """Where things are."""

    data: Path
    """The manifest."""
    sam: Path
    """Weights of SAM ViT-B."""
    runs: Path
    """For everything that is made."""
    mae: Path | None = None
    """MAE-Lite's weights, if they are there."""

    @property
    def drawn(self) -> Path:
        """Folder of the diffusion model and its images."""
        return self.runs / "drawn"

    def adapter(self, labels: int) -> Path:
        """Return the folder of the SAM that was fitted on so many labels."""
        return self.runs / f"adapted_{labels}"

    def encoder(self, arm: str) -> Path:
        """Return the folder of an arm's encoder."""
        return self.runs / "encoders" / arm

    def transfer(self, images: int) -> Path:
        """Return the manifest of the first drawn images."""
        return self.runs / f"drawn_{images}.csv"


def drawing(task: Task, places: Places) -> Synthesize:
    """Return the settings of the diffusion model."""
    more = round(max(TRANSFER) / 0.9) + 200  # copies are set aside
    values = {"out": places.drawn, "images": more, "image_channels": task.channels, "size": 256, "held_back": 0.1}
    return validated(Synthesize, {"data": places.data, **values, "protocol": {"flips": task.mirrored}})


def adapting(task: Task, places: Places) -> list[Adapt]:
    """Return the settings of the fitted SAMs."""
    sam = {"teacher": "sam-vit-b", "teacher_weights": places.sam, "teacher_channels": task.channels}
    fitted = {"how": "lora", "rank": 4, "size": 512, "protocol": {"flips": task.mirrored}}
    return [
        validated(Adapt, {"data": places.data, "out": places.adapter(labels), "labels": labels, **sam, **fitted})
        for labels in task.budgets
    ]


def encoders(task: Task, places: Places) -> dict[str, Pretrain]:
    """Return the settings of every pre-training, by the name of its arm."""
    found = {}
    for images in TRANSFER:
        for name, own in _ways(task, places):
            arm = f"{name}-{images}"
            values = {"data": places.data, "out": places.encoder(arm), "student_channels": task.channels, **own}
            values["transfer"] = places.transfer(images) if images else None
            values["protocol"] = {"steps": STEPS, "crop": SIDE, "flips": task.mirrored}
            found[arm] = validated(Pretrain, values)
    return found


def _ways(task: Task, places: Places) -> Iterator[tuple[str, dict]]:
    yield "mae", {"how": "masked"}
    yield "moco", {"how": "contrast"}
    taught = {"teacher_channels": task.channels, "targets": places.runs / "targets"}
    yield "agnostic", {"how": "features", "teacher": "sam-vit-b", "teacher_weights": places.sam, **taught}
    for labels in task.budgets:
        adapter = {"teacher": f"adapter:{places.adapter(labels)}", "teacher_weights": places.sam}
        yield f"task{labels}", {"how": "task", **adapter, **taught}


def comparison(task: Task, places: Places) -> Study:
    """Return the settings of the study: an arm that was taught by a fitted SAM has the budget of that SAM alone."""
    arms = [{"name": "scratch"}]
    if places.mae is not None:
        arms.append({"name": "mae-imagenet", "encoder_weights": places.mae})
    for name in encoders(task, places):
        labels = name.removeprefix("task").partition("-")[0]
        own = {"labels": (int(labels),)} if name.startswith("task") else {}
        arms.append({"name": name, "encoder_weights": places.encoder(name), **own})
    return validated(
        Study,
        {
            "data": places.data,
            "out": places.runs / "study",
            "student_channels": task.channels,
            "students": ("vit-tiny",),
            "arms": arms,
            "labels": task.budgets,
            "seeds": (0, 1, 2),
            "protocol": {"steps": 2000, "crop": SIDE, "layer_decay": 0.75, "flips": task.mirrored},
        },
    )


def name_drawn(places: Places) -> None:
    """Write the manifests of the first drawn images that were kept."""
    kept = sorted(path for path in (places.drawn / "images").iterdir() if path.is_file())
    for images in filter(None, TRANSFER):
        if len(kept) < images:
            raise SystemExit(f"Only {len(kept)} drawn images were kept, {images} are wanted: draw more.")
        with whole_file(places.transfer(images)) as partial, partial.open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(["image"])
            rows.writerows([path.resolve().as_posix()] for path in kept[:images])


def main() -> None:
    """Run what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=sorted(TASKS))
    parser.add_argument("--data", type=Path, required=True, help="the data set's manifest")
    parser.add_argument("--sam", type=Path, required=True, help="weights of SAM ViT-B")
    parser.add_argument("--runs", type=Path, required=True, help="folder for everything that is made")
    parser.add_argument("--mae", type=Path, help="MAE-Lite's weights (mae_tiny_400e)")
    given = parser.parse_args()
    task, places = TASKS[given.task], Places(given.data, given.sam, given.runs, given.mae)
    study.synthesize(drawing(task, places), notice=print)
    name_drawn(places)
    for fitted in adapting(task, places):
        study.adapt(fitted, notice=print)
    for encoder in encoders(task, places).values():
        study.pretrain(encoder, notice=print)
    study.study(comparison(task, places), notice=print)


if __name__ == "__main__":
    main()
