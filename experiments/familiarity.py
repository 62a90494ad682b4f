"""How often an image is called unlike the training: held-out images of the same kind, and images of other kinds.

Without --model a small U-Net is trained for some steps on the fluorescence images of `bbbc038`, and its held-out
test images are the same kind; near-duplicates share a split. With --model any student of segdistill is asked,
and --kin is a data set of the same kind that it has not seen. Every other data set in --data is another kind; of
an image that lacks the student's one channel, every channel is shown in its place, each counted by itself.

Only how images look is asked, not their pixel size: `inference.familiarity`.
"""

import argparse
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from common import RESULTS, machine
from nuclei import LastWeights, is_fluorescence
from segdistill import __version__
from segdistill.data.channels import check_names
from segdistill.data.datasets import read_dataset
from segdistill.data.finite import filled
from segdistill.data.image import Image
from segdistill.data.normalisation import Rule, rule_from_json
from segdistill.data.readers import read_image
from segdistill.data.sample import read_sample
from segdistill.data.splits import split_cases
from segdistill.engine import train
from segdistill.errors import ConfigError, DataError
from segdistill.evaluation.sides import picture_files
from segdistill.files import write_json
from segdistill.inference.familiarity import appearance_of, chosen_of, familiar_of, unlike
from segdistill.inference.windows import view_of
from segdistill.networks.build import build_student
from segdistill.networks.card import Familiar
from segdistill.networks.model import load_model
from segdistill.objectives.weighting import build_weighting
from segdistill.settings import Protocol
from segdistill.study.arms import RULE
from segdistill.study.duplicates import keep_together
from segdistill.training.distilling import Taught
from segdistill.training.entries import make_entry
from segdistill.training.fit import make_drawing, make_plan
from segdistill.training.objective import Objective
from segdistill.training.validation import entry_view

STUDENT = "unet-tiny"
CHANNELS = ("luma",)
PROTOCOL = Protocol(steps=100, batch_size=4, crop=128, ema=0.99, validations=1, precision="32-true")
MOST = 40
"""Images of one data set that are shown, evenly chosen."""


class Judge:
    """A network that tells whether an image is like those that it was trained on."""

    def __init__(self, network: nn.Module, channels: tuple[str, ...], rule: Rule, familiar: Familiar) -> None:
        """Keep what judging takes."""
        self.network, self.channels, self.rule, self.familiar = network.eval(), channels, rule, familiar

    def alarms(self, image: Image) -> set[str] | None:
        """Return in what an image is unlike: "look", "features"; None where it is of one value, and is not judged."""
        view = view_of(image, self.channels, self.rule, fill=True)
        if view.constant:
            return None
        said = unlike(self.familiar, appearance_of(self.network, view, device="cpu"))
        return {"features" if text.startswith("its features") else "look" for text in said}


def shown(image: Image, wanted: tuple[str, ...]) -> Iterator[tuple[str, Image]]:
    """Yield what a student of these channels is shown of an image, and the name of the channel where it stands in."""
    try:
        check_names(image.channels, wanted, source=image.source)
    except DataError:
        for name, plane in zip(image.channels, image.array, strict=True) if len(wanted) == 1 else ():
            yield name, Image(plane[None], wanted, image.pixel_size, image.source)
    else:
        yield "", image


def count(judge: Judge, name: str, files: Iterable[Path | Mapping[str, Path]]) -> dict[str, dict[str, int]]:
    """Return how many images of a data set are shown, and how many are called unlike, and in what."""
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for file in files:
        image = read_image(file)
        image = Image(filled(image.array), image.channels, image.pixel_size, image.source)
        for channel, each in shown(image, judge.channels):
            alarms = judge.alarms(each)
            counts = found[f"{name}, {channel}" if channel else name]
            counts["images"] += alarms is not None
            counts["unlike"] += bool(alarms)
            counts.update(alarms or ())
    said = ("images", "unlike", "look", "features")
    return {part: {key: counts[key] for key in said} for part, counts in found.items()}


def some(files: Sequence[Any], most: int) -> list[Any]:
    """Return so many files, evenly chosen, or all."""
    places = np.linspace(0, len(files) - 1, min(len(files), most)).round().astype(int).tolist() if files else []
    return [files[place] for place in places]


def trained(data: Path, runs: Path) -> tuple[Judge, dict[str, list[Any]], dict[str, int]]:
    """Return a small network of the fluorescence images, its held-out images and the others, and sizes of splits."""
    dataset = read_dataset(data / "bbbc038", structure="nucleus", label_kind="instances")
    alike = {case.name for case in dataset.cases if is_fluorescence(case, dataset)}
    cases, _ = keep_together([case for case in dataset.cases if case.name in alike])
    split = split_cases(cases, fractions=(0.5, 0.0, 0.5), seed=0)
    entries = [make_entry(read_sample(case, dataset), channels=CHANNELS, rule=RULE) for case in split["train"]]
    objective = Objective(dataset.structures, (), True, None, None)
    torch.manual_seed(0)
    network = build_student(STUDENT, channels=1, outputs=2)
    problem = LastWeights(
        Taught(network, build_weighting("uncertainty", objective.terms)),
        objective,
        training=entries,
        validation=[],
        drawing=make_drawing(PROTOCOL, seed=0),
        weight_decay=PROTOCOL.weight_decay,
    )
    train(problem, runs / "familiarity", make_plan(PROTOCOL, STUDENT, seed=0, device="cpu"), notice=print)
    groups = {case.name: case.group for case in split["train"]}
    by_name = {entry.name: entry for entry in entries}
    chosen = chosen_of([case.name for case in split["train"]])
    seen = [appearance_of(network.eval(), entry_view(by_name[name]), device="cpu") for name in chosen]
    familiar = familiar_of(seen, [groups[name] for name in chosen], CHANNELS)
    if familiar is None:
        raise ConfigError("Too few groups of training images to say what is usual.")
    parts = {
        "bbbc038, fluorescence, held out": [case.image for case in split["test"]],
        "bbbc038, stained tissue and bright field": [case.image for case in dataset.cases if case.name not in alike],
    }
    return Judge(network, CHANNELS, RULE, familiar), parts, {part: len(own) for part, own in split.items() if own}


def loaded(folder: Path) -> Judge:
    """Return a student of a model folder."""
    model = load_model(folder)
    if model.card.familiar is None:
        raise ConfigError(f"{folder} keeps nothing of its training images: there were too few.")
    rule = rule_from_json(model.card.normalisation)
    return Judge(model.module, model.card.channels, rule, model.card.familiar)


def main() -> None:
    """Count, and keep the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of data sets, each with images/")
    parser.add_argument("--runs", type=Path, help="where the small network is trained; without --model")
    parser.add_argument("--model", type=Path, help="model folder to ask instead")
    parser.add_argument("--kin", type=Path, help="data set of the same kind that the model has not seen")
    parser.add_argument("--most", type=int, default=MOST)
    parser.add_argument("--out", type=Path, default=RESULTS / "familiarity.json")
    given = parser.parse_args()
    if (given.model is None) == (given.runs is None) or (given.model is None) != (given.kin is None):
        parser.error("give either --runs, or --model and --kin")
    began = time.monotonic()
    kept: dict[str, Any] = {"student": STUDENT, "fields": {}}
    if given.model is None:
        judge, parts, sizes = trained(given.data, given.runs)
        kept |= {"fields": sizes, "steps": PROTOCOL.steps, "kin": next(iter(parts))}
        own = "bbbc038"
    else:
        judge, own = loaded(given.model), given.kin.name
        parts = {own: list(picture_files(given.kin / "images").values())}
        kept |= {"student": load_model(given.model).card.architecture, "kin": own}
    for folder in sorted(path for path in given.data.iterdir() if (path / "images").is_dir() and path.name != own):
        parts[folder.name] = list(picture_files(folder / "images").values())
    alarms: dict[str, dict[str, int]] = {}
    for name, files in parts.items():
        alarms |= count(judge, name, some(files, given.most))
        print({part: counts for part, counts in alarms.items() if part.startswith(name)}, flush=True)
    seconds = round(time.monotonic() - began)
    write_json(
        given.out, {**kept, "alarms": alarms, "seconds": seconds, "machine": machine(), "segdistill": __version__}
    )


if __name__ == "__main__":
    main()
