"""Few labels (P3): what a student gains from each way of pre-training its encoder, on breast ultrasound and vessels.

No weights of a large SAM can be had here, so a small one (0.7 million parameters) is made first: tuned as a whole to
find shapes that are drawn on the training images of four data sets, without anybody's labels. It must know more of the
task's images than the same network with random weights, by a linear probe on the test images. Then the stages of the
paper, for every number of labels: the SAM is fitted to the task by low-rank changes; a diffusion model of the training
images draws more of them; the encoder of the student is pre-trained by hidden patches (MAE), by telling images apart
(MoCo v3), by the features of the SAM as it is, and by hidden layers and predictions of the fitted one, each for equally
many steps, on the training images alone and with the drawn ones beside them; and a study fine-tunes them all beside a
student from scratch. MAE-Lite's ImageNet weights are not at hand: that arm is missing. Sizes are those of two cores.
The arms were fixed before a score of any was seen; how the small SAM is made was changed twice, because it knew less
than random weights of ultrasound. No result is the paper's.
"""

import argparse
import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from PIL import Image as Picture
from transformers import SamModel

from common import PICTURES, RESULTS, kept_scores, machine, write_manifest
from mixture import Source, filled, manifests, write_source
from segdistill.data.readers import open_image
from segdistill.data.sample import Sample
from segdistill.files import whole_file, write_json
from segdistill.settings import Adapt, Pretrain, Study, Synthesize, validated
from segdistill.study import adapt, pretrain, study, synthesize
from segdistill.study.cost import COST
from segdistill.study.encoder_probe import probe
from segdistill.study.preparation import Prepared, prepare
from segdistill.study.study_account import conclude_study
from segdistill.targets import View
from segdistill.targets.look import field_of, look_for_tokens
from segdistill.teachers.contract import Teacher
from segdistill.teachers.load import load_teacher
from segdistill.teachers.sam import SamTeacher
from segdistill.teachers.sam_sizes import tiny_config
from shapes import write_shapes

NAME = "few_labels"
STUDENT = "vit-tiny"
CHANNELS = ("luma",)
SIDE = 128
SPLIT_SEED = 0
SHAPES = {"count": 600, "side": 160, "validation": 40, "seed": 0}
BASE = {
    "steps": 1500,
    "batch_size": 4,
    "micro_batch": None,
    "crop": 160,
    "learning_rate": 6e-4,
    "turns": True,
    "validations": 5,
}
FITTED = {"steps": 400, "batch_size": 4, "micro_batch": None, "crop": SIDE}
RANK = 4
DRAWING = {"steps": 1500, "batch_size": 8, "learning_rate": 1e-3, "ema": 0.99}
NETWORK = {"width": 16, "blocks": 1}
DRAWN_SIDE = 64
TAUGHT = {"steps": 400, "batch_size": 16, "crop": SIDE}
TUNED = {"steps": 300, "batch_size": 8, "crop": SIDE, "ema": 0.98, "validations": 6, "layer_decay": 0.75}
ROW, THUMB = 12, 80
"""Of the picture of drawn images: how many beside each other, and their side, pixels."""

DRAWN = (0, 180)
"""Drawn images beside the training images."""


@dataclass(frozen=True)
class Task:
    """One of the data sets."""

    source: Source
    """How it is read."""

    budgets: tuple[int | None, ...]
    """Labelled training images; None: all of them. Smaller ones are part of larger ones."""

    turns: bool = False
    """Whether an image turned by quarter turns shows the same task."""


TASKS: Mapping[str, Task] = {
    "busi": Task(Source("busi", "binary", ("lesion",), side=SIDE), (10, 20, 40, None)),
    "drive": Task(Source("drive", "binary", ("vessel",), channel="green", side=2 * SIDE), (5, None), turns=True),
}


@dataclass(frozen=True)
class Places:
    """Where things are, for one data set."""

    name: str
    """Of the data set."""

    data: Path
    """Folder of all data sets."""

    runs: Path
    """For everything that is made."""

    @property
    def task(self) -> Task:
        """What is asked of it."""
        return TASKS[self.name]

    @property
    def own(self) -> Path:
        """Folder of what belongs to this data set."""
        return self.runs / NAME / self.name

    @property
    def base(self) -> Path:
        """Folder of the small SAM as it is, which every data set shares."""
        return self.runs / NAME / "base"

    def labelled(self, budget: int | None) -> Path:
        """Return the manifest in which so many training images are labelled, None: all; the same for every seed."""
        path = self.own / f"labels_{word(budget)}.csv"
        if not path.exists():
            write_manifest(path, self._everything() if budget is None else self._some(budget))
        return path

    def adapter(self, budget: int | None) -> Path:
        """Return the folder of the SAM that was fitted on so many labels."""
        return self.own / f"adapted_{word(budget)}"

    def _everything(self) -> list[dict[str, str]]:
        return filled(write_source(self.name, self.task.source, self.data, self.own / "data"))

    def _some(self, budget: int) -> list[dict[str, str]]:
        with self.labelled(None).open(encoding="utf-8", newline="") as handle:
            rows = list(csv.DictReader(handle))
        label = f"label:{self.task.source.structures[0]}"
        training = sorted((row for row in rows if row["split"] == "train"), key=lambda row: row["name"])
        order = torch.randperm(len(training), generator=torch.Generator().manual_seed(SPLIT_SEED)).tolist()
        for place in order[budget:]:
            training[place][label] = ""
        return rows


def word(budget: int | None) -> str:
    """Return a budget as it stands in names."""
    return "all" if budget is None else str(budget)


def said(who: str) -> Any:
    """Return what tells how far something is."""
    return lambda text: print(f"{NAME}/{who}: {text}", flush=True)


def make_base(places: Places) -> dict[str, Path]:
    """Make the small SAM, once; return it, and the same network with its first weights, as folders in the hub's layout.

    It is tuned as a whole to find shapes drawn on training images, and kept without what it was tuned for.
    """
    found = {"random": places.base / "random", "made": places.base / "made"}
    if not found["made"].is_dir():
        torch.manual_seed(0)
        SamModel(tiny_config()).save_pretrained(found["random"])
        mixed = manifests(places.data, places.runs / "mixture" / "data")["all"]
        with mixed.open(encoding="utf-8", newline="") as handle:
            grounds = [Path(row["image"]) for row in csv.DictReader(handle) if row["split"] == "train"]
        lessons = write_shapes(grounds, places.base / "shapes", **SHAPES)
        settings: dict[str, Any] = {
            "data": lessons,
            "out": places.base / "tuned",
            "label_kind": "binary",
            "how": "full",
        }
        settings["split"] = (1.0, 0.0, 0.0)  # the manifest divides them; nothing is tested
        sam = {"teacher": f"sam:{found['random']}", "teacher_channels": CHANNELS, "protocol": BASE}
        adapt(validated(Adapt, settings | sam), notice=said("base"))
        tuned = cast(SamTeacher, load_teacher(f"adapter:{places.base / 'tuned'}", channels=CHANNELS))
        tuned.model.save_pretrained(found["made"])
    return found


def probed(places: Places, folders: Mapping[str, Path]) -> dict[str, float]:
    """Return Dice of linear probes of the SAM's features, by the name of its weights.

    It is that of the test images that show something: on the others whoever finds nothing is right, and features that
    know nothing would look good.
    """
    prepared = showing_something(prepare(fitting(places, None), notice=said("probe")))
    found = {}
    for name, folder in folders.items():
        teacher = load_teacher(f"sam:{folder}", channels=CHANNELS)
        found[name] = probe(partial(embedding, teacher), prepared)["score"]
    if found["made"] <= found["random"]:
        raise SystemExit(f"The small SAM does not beat its own random weights on {places.name}: {found}.")
    return found


def showing_something(prepared: Prepared) -> Prepared:
    """Return the images without the test images of which nothing is labelled."""
    shown = {name for name in prepared.split["test"] if (prepared.samples[name].planes > 0).any()}
    tested = tuple(name for name in prepared.split["test"] if name in shown)
    return replace(prepared, split={**prepared.split, "test": tested})


def embedding(teacher: Teacher, sample: Sample) -> np.ndarray:
    """Return a SAM's features of a whole image, y x channel."""
    return look_for_tokens(teacher, field_of(teacher, sample, ()), ("embedding",), View())["embedding"]


def fitting(places: Places, budget: int | None, *, how: str = "lora") -> Adapt:
    """Return the settings of a SAM that is fitted to the task."""
    return validated(
        Adapt,
        {
            "data": places.labelled(budget),
            "out": places.adapter(budget),
            "label_kind": "binary",
            "teacher": f"sam:{places.base / 'made'}",
            "teacher_channels": CHANNELS,
            "how": how,
            "rank": RANK if how == "lora" else None,
            "protocol": FITTED | {"turns": places.task.turns},
        },
    )


def drawing(places: Places) -> Synthesize:
    """Return the settings of the diffusion model: it is shown no label."""
    return validated(
        Synthesize,
        {
            "data": places.labelled(None),
            "out": places.own / "drawn",
            "label_kind": "binary",
            "images": round(max(DRAWN) / 0.8),
            "image_channels": CHANNELS,
            "size": DRAWN_SIDE,
            "network": NETWORK,
            "protocol": DRAWING | {"turns": places.task.turns},
        },
    )


def name_drawn(places: Places) -> dict[int, Path | None]:
    """Write the manifests of the first drawn images that were kept; return them by their number."""
    kept = sorted(path for path in (places.own / "drawn" / "images").iterdir() if path.is_file())
    found: dict[int, Path | None] = {0: None}
    for count in filter(None, DRAWN):
        if len(kept) < count:
            raise SystemExit(f"Only {len(kept)} drawn images were kept, {count} are wanted: draw more.")
        rows = [{"image": str(path.resolve())} for path in kept[:count]]
        found[count] = write_manifest(places.own / f"drawn_{count}.csv", rows)
    return found


def show_drawn(places: Places) -> Path:
    """Write a picture of the first drawn images beside each other, for the page; real ones may not be passed on."""
    files = sorted(path for path in (places.own / "drawn" / "images").iterdir() if path.is_file())[: ROW * 3]
    rows = [files[at : at + ROW] for at in range(0, len(files), ROW)]
    sheet = Picture.new("L", (ROW * THUMB, len(rows) * THUMB))
    for y, row in enumerate(rows):
        for x, path in enumerate(row):
            with open_image(path) as opened:
                grey = opened.read((slice(0, opened.shape[1]), slice(0, opened.shape[2])))[0].astype(np.float32)
            bright = (grey - grey.min()) / max(float(np.ptp(grey)), 1e-6) * 255
            sheet.paste(Picture.fromarray(bright.astype(np.uint8)).resize((THUMB, THUMB)), (x * THUMB, y * THUMB))
    picture = PICTURES / f"{NAME}_{places.name}_drawn.png"
    with whole_file(picture) as partial:
        sheet.save(partial, format="PNG", optimize=True)
    return picture


def encoders(places: Places, transfer: Mapping[int, Path | None], budget: int | None) -> Iterator[tuple[str, Pretrain]]:
    """Yield every pre-training that a budget's arms begin with, by the name of the arm."""
    taught = {"teacher_channels": CHANNELS, "targets": places.own / "targets"}
    ways: dict[str, dict[str, Any]] = {
        "mae": {"how": "masked"},
        "moco": {"how": "contrast"},
        "agnostic": {"how": "features", "teacher": f"sam:{places.base / 'made'}", **taught},
        "task": {"how": "task", "teacher": f"adapter:{places.adapter(budget)}", **taught},
    }
    for count, further in transfer.items():
        for name, own in ways.items():
            arm = f"{name}-{count}"
            folder = f"{arm}-{word(budget)}" if name == "task" else arm
            values = {
                "data": places.labelled(None),
                "out": places.own / "encoders" / folder,
                "label_kind": "binary",
                "transfer": further,
                "student_channels": CHANNELS,
                "protocol": TAUGHT | {"turns": places.task.turns},
                **own,
            }
            yield arm, validated(Pretrain, values)


def comparison(places: Places, made: Mapping[str, Pretrain], budget: int | None, seeds: list[int]) -> Study:
    """Return the study that fine-tunes every encoder with so many labels."""
    return validated(
        Study,
        {
            "data": places.labelled(budget),
            "out": places.own / f"study_{word(budget)}",
            "label_kind": "binary",
            "student_channels": CHANNELS,
            "students": (STUDENT,),
            "arms": ({"name": "scratch"}, *({"name": arm, "encoder_weights": own.out} for arm, own in made.items())),
            "seeds": tuple(seeds),
            "protocol": TUNED | {"turns": places.task.turns},
        },
    )


def run(places: Places, budget: int | None, seeds: list[int], counts: list[int]) -> None:
    """Run what is missing for one number of labels, and keep what came out.

    Args:
        places: Of the data set.
        budget: How many training images are labelled.
        seeds: Of the fine-tuning.
        counts: How many drawn images stand beside the training images, arm by arm; some of ``DRAWN``.
    """
    who = f"{places.name} {word(budget)}"
    weights = probed(places, make_base(places))
    fitted = adapt(fitting(places, budget), notice=said(f"{who} adapt"))
    drawn = synthesize(drawing(places), notice=said(f"{places.name} draw"))
    transfer = {count: further for count, further in name_drawn(places).items() if count in counts}
    made = dict(encoders(places, transfer, budget))
    costs = {"adapt": fitted.card.provenance[COST]}
    for arm, settings in made.items():
        costs[arm] = pretrain(settings, notice=said(f"{who} {arm}")).card.provenance[COST]
    settings = comparison(places, made, budget, seeds)
    finished = conclude_study(settings, study(settings, notice=said(f"{who} study"))).students[STUDENT]
    print(f"{who}: {' '.join(finished.verdict.sentences)}", flush=True)
    content = {
        "data": places.name,
        "budget": budget,
        "student": STUDENT,
        "seeds": seeds,
        "base": weights,
        "adapter": {"rank": RANK, "validation": fitted.card.validation, "learned": fitted.card.learned},
        "protocols": {"base": BASE, "adapt": FITTED, "draw": DRAWING, "pretrain": TAUGHT, "study": TUNED},
        "drawn": {"size": DRAWN_SIDE, "network": NETWORK, "kept": drawn.kept, "sentences": list(drawn.sentences)},
        "costs": costs,
        "arms": kept_scores(finished, ("dice", "hd95")),
        "machine": machine(),
    }
    show_drawn(places)
    write_json(RESULTS / NAME / f"{places.name}_{word(budget)}.json", content)


def main() -> None:
    """Run what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--labels", nargs="+", help="budgets, such as 10 or all; left out: every one of the task's")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--drawn", type=int, nargs="+", choices=DRAWN, default=list(DRAWN), help="beside the training")
    given = parser.parse_args()
    for name in given.tasks:
        places = Places(name, given.data, given.runs)
        for budget in places.task.budgets:
            if given.labels is None or word(budget) in given.labels:
                run(places, budget, given.seeds, given.drawn)


if __name__ == "__main__":
    main()
