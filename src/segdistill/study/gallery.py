"""Pictures for the report: the best, the median and the worst test fields, as each network saw and segmented them."""

from collections.abc import Mapping, Sequence

import numpy as np

from segdistill.data.channels import select
from segdistill.data.labels import Structure
from segdistill.data.normalisation import measure_range, normalise
from segdistill.data.sample import Sample
from segdistill.evaluation import dice
from segdistill.report import GalleryCase, Rank
from segdistill.study.arms import RULE, Bench
from segdistill.study.seen import Seen
from segdistill.study.teaching import Teaching

FEW = 16
"""So many fields are shown all, so that each dot of the report's scatter leads to pictures. A field's pictures take 0.3
to 1.4 MB at full size (measured on four public sets): more of them would have to shrink to fit into the 20 MB of a
report, and the worst fields are worth more at full size than all of them small."""

BEST, WORST = 3, 6
"""Of more fields: how many of the best and about the median, and of the worst, from which there is more to learn."""


def make_gallery(
    bench: Bench, seen: Mapping[str, Seen], *, teacher: str | None, structures: Sequence[Structure]
) -> list[GalleryCase]:
    """Return the cases to show: all where they are few, else the best, some about the median and the worst by Dice.

    Args:
        bench: What all arms share.
        seen: What "student" and, where there is one, "baseline" made of the test fields.
        teacher: Whose view and maps are shown, by its name in the study. None: nobody's.
        structures: Among which the one that is shown of a field is chosen; fields without a label of any are left out.
    """
    among = np.array([each in structures for each in bench.structures])
    samples = [(place, each) for place, each in enumerate(bench.prepared.labelled("test")) if each.known[among].any()]
    scores = [_dice(seen["student"].planes[place], sample, among) for place, sample in samples]
    teaching = None if teacher is None else bench.teachings[teacher]
    return [
        _case(bench, sample, rank, {role: made.planes[place] for role, made in seen.items()}, teaching, among)
        for rank, order in ranked(scores)
        for place, sample in [samples[order]]
    ]


def ranked(scores: Sequence[float]) -> list[tuple[Rank, int]]:
    """Return the places to show with their ranks, the best first and the worst last; no place twice.

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
    return [(given.get(place, "between"), place) for place in order if place in given or len(order) <= FEW]


def _dice(planes: np.ndarray, sample: Sample, among: np.ndarray) -> float:
    known = np.flatnonzero(sample.known & among)
    return float(np.mean([dice(planes[k] > 0, sample.planes[k] > 0, counts=sample.counts) for k in known]))


def _case(
    bench: Bench,
    sample: Sample,
    rank: Rank,
    masks: Mapping[str, np.ndarray],
    teaching: Teaching | None,
    among: np.ndarray,
) -> GalleryCase:
    place = _worst(masks["student"], sample, among)
    structure = bench.structures[place]
    scores = {who: dice(made[place] > 0, sample.planes[place] > 0, counts=sample.counts) for who, made in masks.items()}
    teacher_map = None if teaching is None else teaching.probability(sample.name, structure.name)
    if teacher_map is not None:
        scores["teacher"] = dice(teacher_map > 0.5, sample.planes[place] > 0, counts=sample.counts)
    return GalleryCase(
        name=sample.name,
        rank=rank,
        unit=bench.prepared.groups[sample.name],
        structure=structure.name,
        scores=scores,
        student_view=bench.entries[sample.name].image,
        student_channels=bench.channels,
        teacher_view=_view(sample, teaching.channels) if teaching is not None and teaching.channels else None,
        teacher_channels=() if teaching is None else teaching.channels,
        label=sample.planes[place],
        teacher_map=teacher_map,
        baseline=masks["baseline"][place] if "baseline" in masks else None,
        student=masks["student"][place],
        counts=sample.counts,
    )


def _worst(planes: np.ndarray, sample: Sample, among: np.ndarray) -> int:
    """Return which structure is shown: the one that the student finds worst, of those to choose from.

    Args:
        planes: The student's masks.
        sample: The field.
        among: Which structures are to choose from; of them, those that are labelled there.
    """
    known = np.flatnonzero(sample.known & among)
    here = [place for place in known if (sample.planes[place] > 0).any()]
    return int(min(here or known, key=lambda k: dice(planes[k] > 0, sample.planes[k] > 0, counts=sample.counts)))


def _view(sample: Sample, channels: Sequence[str]) -> np.ndarray:
    chosen = select(sample.image.array, sample.image.channels, channels, source=sample.image.source)
    return normalise(chosen, *measure_range(sample.image, RULE, names=channels))
