"""How to tell objects apart: seeds from boundaries, or from distances. Measured on `bbbc038`, fluorescence.

For each seed two U-Nets are trained alike on the same fields: one with foreground and inner boundary,
as every student of segdistill has, and one that also regresses each pixel's distance to the border of
its object, as a share of the object's largest. Then objects are made in four ways:

- boundaries: the watershed that segdistill ships, of the first network;
- boundaries beside distances: the same, of the second;
- distances: seeds where the second network's distance is high, flooding the distance;
- mask alone: seeds from the Euclidean distance inside the first network's mask, no second output used.

In each, the map that seeds are found in is smoothed. Foreground, seed threshold and smoothing of each are tuned on
the validation fields, one after the other until none changes; near-duplicates share a split.
"""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage

from common import RESULTS, machine
from segdistill.data.datasets import Case, Dataset, read_dataset
from segdistill.data.labels import Structure
from segdistill.data.sample import read_sample
from segdistill.data.splits import split_cases
from segdistill.engine import train
from segdistill.evaluation.instances import average_precision, match
from segdistill.files import write_json
from segdistill.inference.instances import grown, instances, without_small
from segdistill.networks.build import build_student
from segdistill.objectives.borders import BOUNDARY
from segdistill.objectives.distillation import distillation_term
from segdistill.objectives.weighting import build_weighting
from segdistill.settings import Protocol
from segdistill.study.arms import RULE
from segdistill.study.duplicates import keep_together
from segdistill.training.distilling import Distilling, Taught
from segdistill.training.entries import Entry, make_entry
from segdistill.training.fit import make_drawing, make_plan, usual_learning_rate
from segdistill.training.objective import Objective
from segdistill.training.validation import entry_maps

STUDENT = "unet-mobilenetv3"
PROTOCOL = Protocol(steps=600, batch_size=4, crop=192, ema=0.99, validations=6, precision="32-true")
SEEDS = (0, 1, 2)
FOREGROUNDS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
CUTS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""Of seeds. They ended at 0.8 until the first seed's best lay there."""
SMOOTHINGS = (0.0, 1.0, 2.0, 3.0, 4.0)
"""Standard deviations, pixels."""
DISTANCE = "distance"

Maps = np.ndarray
Cut = Callable[[Maps, float, float, float], np.ndarray]
"""Objects from maps, a foreground threshold, a seed threshold and a smoothing."""


def is_fluorescence(case: Case, dataset: Dataset) -> bool:
    """Return whether a picture has no colour and is mostly dark."""
    array = read_sample(case, dataset).image.array
    return bool((array == array[:1]).all() and array.mean() < 0.4 * 255)


def distances(labels: np.ndarray) -> np.ndarray:
    """Return each pixel's distance to the border of its own object, as a share of the object's largest, 0…1."""
    shares = np.zeros(labels.shape, np.float32)
    for number, place in enumerate(ndimage.find_objects(labels), start=1):
        if place is not None:
            inside = np.pad(labels[place] == number, 1)
            own = ndimage.distance_transform_edt(inside)[1:-1, 1:-1]
            shares[place][labels[place] == number] = (own / own.max())[labels[place] == number]
    return shares


def with_distance(entry: Entry) -> Entry:
    """Return a field with the distances of its pixels as a target, beside its labels."""
    planes = np.concatenate([entry.planes, np.zeros_like(entry.planes)])
    return replace(entry, planes=planes, known=np.array([True, False]), target={DISTANCE: distances(entry.planes[0])})


def by_boundaries(maps: Maps, foreground: float, seed: float, smoothing: float) -> np.ndarray:
    """Return objects as segdistill makes them."""
    return instances(
        maps[0], maps[1], foreground_threshold=foreground, seed_threshold=seed, minimum_size=0, smoothing=smoothing
    )


def by_distances(maps: Maps, foreground: float, seed: float, smoothing: float) -> np.ndarray:
    """Return objects flooded from where the network's distance is high."""
    mask, height = maps[0] > foreground, _smoothed(maps[2], smoothing)
    return without_small(grown(-height, (height > seed) & mask, mask), 0)


def _smoothed(height: np.ndarray, smoothing: float) -> np.ndarray:
    return ndimage.gaussian_filter(height, smoothing, mode="nearest") if smoothing else height


def by_mask(maps: Maps, foreground: float, seed: float, smoothing: float) -> np.ndarray:
    """Return objects flooded from the middles of the mask's pieces."""
    mask = maps[0] > foreground
    inside = np.asarray(ndimage.distance_transform_edt(np.pad(mask, 1)))[1:-1, 1:-1]
    pieces = np.asarray(ndimage.label(mask)[0])
    largest = np.append(0, ndimage.maximum(inside, pieces, np.arange(1, pieces.max() + 1)))
    height = _smoothed(inside / np.maximum(largest[pieces], 1), smoothing)
    return without_small(grown(-height, (height > seed) & mask, mask), 0)


class LastWeights(Distilling):
    """A student whose last weights are kept, so that no way of making objects has a say in which."""

    def validate(self, module: torch.nn.Module, step: int) -> dict[str, float]:  # noqa: ARG002
        """Return nothing."""
        return {}


def train_one(
    folder: Path, dataset: Dataset, training: Sequence[Entry], *, distance: bool, seed: int
) -> torch.nn.Module:
    """Train one U-Net, or read it back."""
    term = distillation_term("probability_mse") if distance else None
    # The distance is one more output, of which no field has a label and every field says itself what it is.
    structures = (*dataset.structures, Structure(DISTANCE, instances=False)) if distance else dataset.structures
    objective = Objective(structures, (2,) if distance else (), True, term, BOUNDARY["gradient_3"])
    torch.manual_seed(seed)
    network = build_student(STUDENT, channels=1, outputs=2 + distance)
    problem = LastWeights(
        Taught(network, build_weighting("uncertainty", objective.terms)),
        objective,
        training=[with_distance(entry) for entry in training] if distance else training,
        validation=[],
        drawing=make_drawing(PROTOCOL, crop=PROTOCOL.crop, seed=seed, labelled_share=PROTOCOL.labelled_share),
        weight_decay=PROTOCOL.weight_decay,
    )
    train(
        problem,
        folder,
        make_plan(PROTOCOL, learning_rate=usual_learning_rate(STUDENT), seed=seed, device="cpu"),
        notice=print,
    )
    return network.eval()


def tuned(cut: Cut, cases: Sequence[tuple[Maps, Entry]]) -> tuple[float, float, float]:
    """Return the thresholds and the smoothing of highest mean AP@0.5: one after the other, until none changes."""
    best, seen = (0.5, 0.5, 1.0), {}

    def worth(three: tuple[float, float, float]) -> float:
        if three not in seen:
            seen[three] = float(np.mean(list(scores(cut, cases, *three).values())))
        return seen[three]

    before = None
    while best != before:
        before = best
        for place, values in enumerate((FOREGROUNDS, CUTS, SMOOTHINGS)):
            best = max(((*best[:place], value, *best[place + 1 :]) for value in values), key=worth)
    return best


def scores(
    cut: Cut, cases: Sequence[tuple[Maps, Entry]], foreground: float, seed: float, smoothing: float
) -> dict[str, float]:
    """Return AP@0.5 by field."""
    return {
        entry.name: average_precision(
            match(cut(maps, foreground, seed, smoothing), entry.planes[0], counts=entry.counts)
        )
        for maps, entry in cases
    }


def one_seed(
    folder: Path, dataset: Dataset, entries: Mapping[str, Entry], split: Mapping[str, Sequence[Case]], seed: int
) -> dict[str, dict]:
    """Return, for each way of making objects, its thresholds and its scores on the test fields."""
    training = [entries[case.name] for case in split["train"]]
    networks = {
        distance: train_one(folder / f"distance_{distance}_{seed}", dataset, training, distance=distance, seed=seed)
        for distance in (False, True)
    }
    maps: Mapping[tuple[bool, str], list] = {
        (distance, part): [
            (entry_maps(network, entries[case.name], outputs=2 + distance, device="cpu"), entries[case.name])
            for case in split[part]
        ]
        for distance, network in networks.items()
        for part in ("validation", "test")
    }
    ways: dict[str, tuple[bool, Cut]] = {
        "boundaries": (False, by_boundaries),
        "boundaries beside distances": (True, by_boundaries),
        "distances": (True, by_distances),
        "mask alone": (False, by_mask),
    }
    found = {}
    for name, (distance, cut) in ways.items():
        best = tuned(cut, maps[distance, "validation"])
        values = scores(cut, maps[distance, "test"], *best)
        found[name] = {**dict(zip(("foreground", "seed", "smoothing"), best, strict=True)), "ap50": values}
        print(f"seed {seed}, {name}: {np.mean(list(values.values())):.4f} at {best}", flush=True)
    return found


def main() -> None:
    """Train what is missing, and keep the scores."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=Path, required=True)
    given = parser.parse_args()
    dataset = read_dataset(given.data / "bbbc038", structure="nucleus", label_kind="instances")
    cases, _ = keep_together([case for case in dataset.cases if is_fluorescence(case, dataset)])
    split = split_cases(cases, fractions=(0.5, 0.2, 0.3), seed=0)
    entries = {case.name: make_entry(read_sample(case, dataset), channels=("luma",), rule=RULE) for case in cases}
    found: dict[str, dict[str, dict]] = {}
    for seed in SEEDS:
        kept = given.runs / "nuclei" / f"ways_{seed}.json"
        if not kept.exists():
            write_json(kept, one_seed(given.runs / "nuclei", dataset, entries, split, seed))
        for name, way in json.loads(kept.read_text(encoding="utf-8")).items():
            found.setdefault(name, {})[str(seed)] = way
    sizes = {part: len(cases) for part, cases in split.items()}
    write_json(RESULTS / "nuclei.json", {"student": STUDENT, "fields": sizes, "ways": found, "machine": machine()})


if __name__ == "__main__":
    main()
