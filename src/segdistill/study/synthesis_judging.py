"""What is set aside of drawn images: copies of training images, and those of which a teacher is least certain."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from segdistill.data.image import Image
from segdistill.data.inversion import turned_round
from segdistill.data.labels import Structure
from segdistill.data.readers import read_image
from segdistill.data.sample import Sample
from segdistill.errors import ConfigError
from segdistill.files import append_line
from segdistill.settings.synthesize import Synthesize
from segdistill.study.synthesis_data import Real, Reals, central_window
from segdistill.study.synthesis_files import Verdict, place_of
from segdistill.synthesis.card import SynthesisCard
from segdistill.synthesis.copies import Library, distances_between, make_library, nearest, turns_of
from segdistill.synthesis.drawing import numbers_of
from segdistill.targets.look import field_of, look
from segdistill.teachers.contract import Teacher
from segdistill.teachers.load import load_teacher
from segdistill.teachers.request import TeacherOptions
from segdistill.training.entries import make_entry

CERTAINTY = "certainty.jsonl"
"""What the teacher said, a line for each image, so that it is not asked twice."""

Notice = Callable[[str], None]


def judging_teacher(settings: Synthesize, structures: Sequence[Structure], *, device: str) -> Teacher | None:
    """Return the teacher whose certainty judges; None: nobody does.

    Raises:
        ConfigError: It must be told of labels or cases, which drawn images have none of.
        SegdistillError: It cannot be had.
    """
    if settings.teacher is None:
        return None
    teacher = load_teacher(
        settings.teacher,
        channels=settings.teacher_channels,
        structures=structures,
        weights=settings.teacher_weights,
        device=device,
        options=TeacherOptions(size=settings.teacher_size, precision=settings.teacher_precision or "float32"),
    )
    if teacher.contract.needs or not teacher.contract.outputs:
        raise ConfigError(
            f"Teacher {settings.teacher!r} cannot judge drawn images: it"
            f" {'gives no maps' if not teacher.contract.outputs else 'needs labels or names of cases'}. Name one that"
            " segments any image by itself, such as adapter:FOLDER or model:FOLDER."
        )
    return teacher


def judged(
    settings: Synthesize, card: SynthesisCard, reals: Reals, teacher: Teacher | None, *, notice: Notice
) -> tuple[tuple[Verdict, ...], float]:
    """Look at every drawn image; return what was found out, and the distance below which one is a copy.

    Args:
        settings: What is set aside.
        card: Of the model that drew.
        reals: What it was fitted on, and what not.
        teacher: Whose certainty counts; None: nobody's.
        notice: Told what was found.
    """
    fitted = _library(settings, reals.fitted)
    apart = _library(settings, reals.held_back) if reals.held_back else None
    windows = [central_window(real, card.side) for real in reals.fitted]
    between = distances_between(windows, fitted, [real.group for real in reals.fitted])
    bound = float(np.quantile(between, settings.copies)) if len(between) and settings.copies else 0.0
    known = _certainties(settings.out)
    verdicts = []
    for number in range(settings.images):
        sample = drawn_sample(settings, card, number)
        certainty = None
        if teacher is not None:
            certainty = known[number] if number in known else _certainty(teacher, sample, settings.out, number)
        verdicts.append(_verdict(number, sample.name, seen(sample, reals), (fitted, apart), reals, certainty))
    found = _with_reasons(verdicts, bound, settings.least_certain_in_use)
    copies = sum(verdict.nearest.distance < bound for verdict in found)
    notice(
        f"{copies} of {len(found)} drawn images are copies (nearer than {bound:.3f} to a training image);"
        f" {sum(verdict.reason is None for verdict in found)} are kept."
    )
    return found, bound


def _library(settings: Synthesize, reals: Sequence[Real]) -> Library:
    turns = turns_of(flips=settings.protocol.flips, turns=settings.protocol.turns)
    return make_library([real.entry.image for real in reals], side=settings.size, turns=turns)


def drawn_sample(settings: Synthesize, card: SynthesisCard, number: int) -> Sample:
    """Return a drawn image as the data's own are read, bright on dark where they are, under its file's name."""
    path = place_of(settings.out, card, number)
    image = read_image(path)
    if numbers_of(number, card, seed=settings.seed).inverted:
        image = replace(image, array=turned_round(image.array), inverted=True)
    return unlabelled_sample(path.name, image)


def unlabelled_sample(name: str, image: Image) -> Sample:
    """Return an image without labels as a case in memory."""
    shape = image.array.shape[1:]
    return Sample(name, image, np.zeros((0, *shape), np.int32), np.zeros(0, dtype=bool), np.ones(shape, dtype=bool))


def seen(sample: Sample, reals: Reals) -> Float32[np.ndarray, "c y x"]:
    """Return a drawn image, 0 to 1, as the model's own images are."""
    return make_entry(sample, channels=reals.channels, rule=reals.rule).image


def _verdict(
    number: int,
    file: str,
    picture: Float32[np.ndarray, "c y x"],
    libraries: tuple[Library, Library | None],
    reals: Reals,
    certainty: float | None,
) -> Verdict:
    fitted, apart = libraries
    found = nearest(picture, fitted)
    return Verdict(
        number=number,
        file=file,
        nearest=found,
        nearest_name=reals.fitted[found.index].entry.name,
        held_back=None if apart is None else nearest(picture, apart).distance,
        certainty=certainty,
    )


def _with_reasons(verdicts: Sequence[Verdict], bound: float, share: float) -> tuple[Verdict, ...]:
    """Return verdicts with the reasons for which images are set aside, copies first."""
    order = sorted((v for v in verdicts if v.certainty is not None), key=lambda v: (v.certainty, v.number))
    doubted = {verdict.number for verdict in order[: int(share * len(order))]}
    return tuple(replace(verdict, reason=_reason(verdict, bound, verdict.number in doubted)) for verdict in verdicts)


def _reason(verdict: Verdict, bound: float, doubted: bool) -> str | None:
    if verdict.nearest.distance < bound:
        return f"nearly a copy of a training image: {verdict.nearest.distance:.3f} away, less than {bound:.3f}"
    if doubted:
        return f"among those of which the teacher is least certain: {verdict.certainty:.3f}"
    return None


def _certainty(teacher: Teacher, sample: Sample, folder: Path, number: int) -> float:
    """Return how far the teacher's probabilities lie from ½, from 0 (all at ½) to 1 (all 0 or 1), and keep it."""
    maps = look(teacher, field_of(teacher, sample, ()), tile=teacher.contract.tile)
    certainty = float(np.abs(2 * maps.astype(np.float64) - 1).mean())
    append_line(folder / CERTAINTY, json.dumps({"number": number, "certainty": certainty}))
    return certainty


def _certainties(folder: Path) -> dict[int, float]:
    """Return what the teacher said before an interruption; a line that was cut off counts for nothing."""
    path = folder / CERTAINTY
    found: dict[int, float] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            values = json.loads(line)
        except json.JSONDecodeError:
            continue
        found[values["number"]] = values["certainty"]
    return found
