"""Pictures for the report: the best, the median and the worst test fields, as each network saw and segmented them."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Int32

from segdistill.data.channels import select
from segdistill.data.labels import output_names
from segdistill.data.normalisation import measure_range, normalise
from segdistill.data.sample import Sample
from segdistill.evaluation import dice
from segdistill.networks.model import load_model
from segdistill.report import GalleryCase, Rank
from segdistill.study.arms import RULE, ArmRun, Bench, mask_planes
from segdistill.study.teaching import Teaching
from segdistill.training.validation import entry_maps

BEST, WORST = 3, 6
"""Fields of the best, and of those about the median; and of the worst, from which there is more to learn."""

Segmented = Mapping[str, Sequence[Int32[np.ndarray, "k y x"]]]
"""Role to its planes of every labelled test field, in their order."""


def segment_tests(bench: Bench, runs: Sequence[ArmRun], *, arms: Mapping[str, str | None]) -> Segmented:
    """Return what arms make of every labelled test field, each by its first seed.

    Args:
        bench: What all arms share.
        runs: Every arm and seed.
        arms: Role, such as "student", to the name of its arm; None, or no such arm: left out.
    """
    samples = bench.prepared.labelled("test")
    shown = {role: next((run for run in runs if run.arm.name == name), None) for role, name in arms.items()}
    return {role: _masks(bench, run, samples) for role, run in shown.items() if run is not None}


def make_gallery(bench: Bench, masks: Segmented, *, teacher: str | None) -> list[GalleryCase]:
    """Return the cases to show: the best, some about the median, and the worst by the student's Dice.

    Args:
        bench: What all arms share.
        masks: Of "student" and, where there is one, "baseline".
        teacher: Whose view and maps are shown, by its name in the study. None: nobody's.
    """
    samples = bench.prepared.labelled("test")
    scores = [_dice(planes, sample) for planes, sample in zip(masks["student"], samples, strict=True)]
    teaching = None if teacher is None else bench.teachings[teacher]
    return [
        _case(bench, samples[place], rank, {role: made[place] for role, made in masks.items()}, teaching)
        for rank, place in ranked(scores)
    ]


def ranked(scores: Sequence[float]) -> list[tuple[Rank, int]]:
    """Return the places to show by rank, the worst of the worst last; no place twice.

    >>> [place for rank, place in ranked([0.9, 0.5, 0.7]) if rank == "worst"]
    [1]
    """
    order = np.argsort(scores, kind="stable")[::-1].tolist()
    count = max(1, min(BEST, len(order) // 4))
    middle = (len(order) - count) // 2
    wanted: dict[Rank, list[int]] = {
        "best": order[:count],
        "median": order[middle : middle + count],
        "worst": order[-max(1, min(WORST, len(order) // 2)) :],
    }
    given: dict[int, Rank] = {}
    for rank, places in wanted.items():
        for place in places:
            given.setdefault(place, rank)
    return [(rank, place) for place, rank in given.items()]


def _masks(bench: Bench, run: ArmRun, samples: Sequence[Sample]) -> list[np.ndarray]:
    model = load_model(run.folder / "model")
    outputs = len(output_names(bench.structures))
    return [
        mask_planes(
            entry_maps(model.module, bench.entries[sample.name], outputs=outputs, device="cpu"),
            bench.structures,
            model.card.thresholds,
        )
        for sample in samples
    ]


def _dice(planes: np.ndarray, sample: Sample) -> float:
    known = np.flatnonzero(sample.known)
    return float(np.mean([dice(planes[k] > 0, sample.planes[k] > 0, counts=sample.counts) for k in known]))


def _case(
    bench: Bench, sample: Sample, rank: Rank, masks: Mapping[str, np.ndarray], teaching: Teaching | None
) -> GalleryCase:
    place = int(np.flatnonzero(sample.known)[0])
    structure = bench.structures[place]
    scores = {who: dice(made[place] > 0, sample.planes[place] > 0, counts=sample.counts) for who, made in masks.items()}
    teacher_map = None if teaching is None else teaching.probability(sample.name, structure.name)
    if teacher_map is not None:
        scores["teacher"] = dice(teacher_map > 0.5, sample.planes[place] > 0, counts=sample.counts)
    return GalleryCase(
        name=sample.name,
        rank=rank,
        structure=structure.name,
        scores=scores,
        student_view=bench.entries[sample.name].image,
        student_channels=bench.channels,
        teacher_view=None if teaching is None else _view(sample, teaching.channels),
        teacher_channels=() if teaching is None else teaching.channels,
        label=sample.planes[place],
        teacher_map=teacher_map,
        baseline=masks["baseline"][place] if "baseline" in masks else None,
        student=masks["student"][place],
        counts=sample.counts,
    )


def _view(sample: Sample, channels: Sequence[str]) -> np.ndarray:
    chosen = select(sample.image.array, sample.image.channels, channels, source=sample.image.source)
    return normalise(chosen, *measure_range(sample.image, RULE, names=channels))
