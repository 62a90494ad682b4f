"""Pictures for the report: the best, the median and the worst test fields, as each network saw and segmented them."""

from collections.abc import Mapping, Sequence

import numpy as np

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


def make_gallery(
    bench: Bench, runs: Sequence[ArmRun], *, arms: Mapping[str, str | None], teacher: str | None, per_rank: int = 2
) -> list[GalleryCase]:
    """Return the cases to show: ranked by the student's Dice of its first seed.

    Args:
        bench: What all arms share.
        runs: Every arm and seed; the first seed of each arm is shown.
        arms: "student", and "baseline" or None, to the names of the arms that are shown as such.
        teacher: Whose view and maps are shown, by its name in the study. None: nobody's.
        per_rank: How many of the best, of those about the median, and of the worst; fewer where
            there are few fields.
    """
    samples = bench.prepared.labelled("test")
    shown = {role: next((run for run in runs if run.arm.name == name), None) for role, name in arms.items()}
    masks = {role: _masks(bench, run, samples) for role, run in shown.items() if run is not None}
    scores = [_dice(planes, sample) for planes, sample in zip(masks["student"], samples, strict=True)]
    teaching = None if teacher is None else bench.teachings[teacher]
    return [
        _case(bench, samples[place], rank, {role: made[place] for role, made in masks.items()}, teaching)
        for rank, place in _ranked(scores, per_rank)
    ]


def _ranked(scores: Sequence[float], per_rank: int) -> list[tuple[Rank, int]]:
    """Return places by rank; no place twice."""
    order = np.argsort(scores, kind="stable")[::-1].tolist()
    count = max(1, min(per_rank, len(order) // 3))
    middle = (len(order) - count) // 2
    wanted: dict[Rank, list[int]] = {
        "best": order[:count],
        "median": order[middle : middle + count],
        "worst": order[-count:],
    }
    ranked: dict[int, Rank] = {}
    for rank, places in wanted.items():
        for place in places:
            ranked.setdefault(place, rank)
    return [(rank, place) for place, rank in ranked.items()]


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
