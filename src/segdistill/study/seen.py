"""What networks make of the labelled test fields: masks, how far they can be trusted, where they differ."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np
from jaxtyping import Bool, Float, Int32

from segdistill.data.labels import Structure, output_names
from segdistill.data.sample import Sample
from segdistill.evaluation import Agreement, Reliability, count_agreement, count_reliability
from segdistill.networks.model import load_model
from segdistill.study.arms import ArmRun, Bench, mask_planes, view_in_use
from segdistill.study.teaching import Teaching
from segdistill.training.validation import entry_maps


@dataclass(frozen=True, eq=False)
class Seen:
    """What one network made of the labelled test fields, in their order."""

    planes: Sequence[Int32[np.ndarray, "k y x"]]
    """Masks of each field."""

    reliability: Reliability | None
    """Pixels by the probability that it gave them, structures together; None: no pixel counts."""

    agreement: Agreement | None
    """Who is right, this network or the teacher, structures together; None: there is no teacher's map."""


def see_tests(
    bench: Bench,
    runs: Sequence[ArmRun],
    *,
    arms: Mapping[str, str | None],
    teacher: str | None,
    structures: Sequence[Structure],
) -> dict[str, Seen]:
    """Return what arms make of every labelled test field, each by its first seed.

    Args:
        bench: What all arms share.
        runs: Every arm and seed.
        arms: Role, such as "student", to the name of its arm; None, or no such arm: left out.
        teacher: With whom they are compared, by its name in the study. None: nobody.
        structures: Which count for how far networks can be trusted and where they differ; masks are of all.
    """
    shown = {role: next((run for run in runs if run.arm.name == name), None) for role, name in arms.items()}
    teaching = None if teacher is None else bench.teachings[teacher]
    return {role: _seen(bench, run, teaching, structures) for role, run in shown.items() if run is not None}


def teacher_reliability(bench: Bench, teacher: str | None, structures: Sequence[Structure]) -> Reliability | None:
    """Return the pixels of the labelled test fields by the probability that a teacher gave them; None: no map.

    Args:
        bench: What all arms share.
        teacher: By its name in the study. None: there is none.
        structures: Which count.
    """
    if teacher is None:
        return None
    teaching = bench.teachings[teacher]
    counted = [
        count_reliability(probability, label, counts=sample.counts)
        for sample in bench.prepared.labelled("test")
        for _, structure, label in labelled_planes(bench, sample, structures)
        if (probability := teaching.probability(sample.name, structure)) is not None
    ]
    return reduce(add, counted) if counted else None


def labelled_planes(
    bench: Bench, sample: Sample, structures: Sequence[Structure]
) -> Iterator[tuple[int, str, Bool[np.ndarray, "y x"]]]:
    """Yield place, structure and mask of those that are labelled in a field; nothing where no pixel counts."""
    if not sample.counts.any():
        return
    for place in np.flatnonzero(sample.known).tolist():
        if bench.structures[place] in structures:
            yield place, bench.structures[place].name, sample.planes[place] > 0


def _seen(bench: Bench, run: ArmRun, teaching: Teaching | None, structures: Sequence[Structure]) -> Seen:
    model = load_model(run.folder / "model")
    names = output_names(bench.structures)
    planes: list[Int32[np.ndarray, "k y x"]] = []
    reliability: list[Reliability] = []
    agreement: list[Agreement] = []
    for sample in bench.prepared.labelled("test"):
        maps: Float[np.ndarray, "o y x"] = entry_maps(
            model.module, view_in_use(bench, run.arm, sample.name), outputs=len(names), device="cpu"
        )
        masks = mask_planes(maps, bench.structures, model.card.thresholds)
        planes.append(masks)
        for place, structure, label in labelled_planes(bench, sample, structures):
            reliability.append(count_reliability(maps[names.index(structure)], label, counts=sample.counts))
            told = None if teaching is None else teaching.probability(sample.name, structure)
            if told is not None:
                agreement.append(count_agreement(masks[place] > 0, told > 0.5, label, counts=sample.counts))
    return Seen(
        planes,
        reduce(add, reliability) if reliability else None,
        reduce(add, agreement) if agreement else None,
    )
