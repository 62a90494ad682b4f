"""Field by field: from the baseline's score to the student's, with the teacher's beside them."""

from dataclasses import dataclass

from markupsafe import Markup

from segdistill.report.axis import Axis, scores_axis
from segdistill.report.bands import banded_drawing, deviation, extent_of, level, place_of
from segdistill.report.content import Ladder, Rung, Spread
from segdistill.report.svg import mark
from segdistill.report.wording import as_spread

MOST = 24
"""Fields that are drawn; of more, the first and the last of the order are shown."""


@dataclass(frozen=True, kw_only=True)
class FieldRow:
    """The words beside one field's band."""

    name: str
    value: str


@dataclass(frozen=True, kw_only=True)
class FieldsView:
    """The fields of one ladder, ready for the page."""

    title: str
    metric: str
    rows: tuple[FieldRow, ...]
    rungs: tuple[Rung, ...]
    plot: Markup
    left_out: int
    """Fields between the first and the last that are only in the CSV."""


def view_fields(ladder: Ladder) -> FieldsView | None:
    """Return the fields in order of what the student gained, or None where no field is known.

    Without a baseline the order is that of the student's score; without a student, that of the names.
    """
    compared = _rungs(ladder, ladder.baseline, ladder.student)
    rungs = [*compared, *_rungs(ladder, ladder.teacher)]
    names = sorted({name for rung in rungs for name in rung.per_field}, key=lambda name: _order(name, ladder))
    if not names:
        return None
    shown = names if len(names) <= MOST else [*names[: MOST // 2], *names[-MOST // 2 :]]
    scores = [rung.per_field[name] for rung in rungs for name in shown if name in rung.per_field]
    axis = scores_axis(value for score in scores for value in extent_of(score))
    bands = [_path(name, compared, axis) + _marks(name, rungs, axis) for name in shown]
    label = f"{ladder.metric} of each of {len(names)} fields: {', '.join(rung.name for rung in rungs)}."
    return FieldsView(
        title=ladder.title,
        metric=ladder.metric,
        rows=tuple(FieldRow(name=name, value=_words(name, compared)) for name in shown),
        rungs=tuple(rungs),
        plot=banded_drawing(bands, axis, label=label),
        left_out=len(names) - len(shown),
    )


def _rungs(ladder: Ladder, *names: str | None) -> list[Rung]:
    return [rung for name in names if (rung := ladder.rung(name)) is not None]


def _order(name: str, ladder: Ladder) -> tuple[float, str]:
    student, baseline = (_mean(ladder.rung(which), name) for which in (ladder.student, ladder.baseline))
    return (0.0 if student is None else (baseline or 0.0) - student, name)


def _mean(rung: Rung | None, name: str) -> float | None:
    score = rung.per_field.get(name) if rung else None
    return score.mean if score else None


def _path(name: str, compared: list[Rung], axis: Axis) -> Markup:
    """Return the deviations and the line from the baseline to the student."""
    scores = [rung.per_field.get(name, Spread(mean=None)) for rung in compared]
    lines = [deviation(score, rung.role, axis) for rung, score in zip(compared, scores, strict=True)]
    ends = [place for score in scores if (place := place_of(score, axis)) is not None]
    if len(ends) == 2:
        lines.append(level(ends[0], ends[1], "step" if ends[1] >= ends[0] else "step worse"))
    return Markup("").join(lines)


def _marks(name: str, rungs: list[Rung], axis: Axis) -> Markup:
    scores = [(rung, rung.per_field.get(name)) for rung in rungs]
    return Markup("").join(
        mark(rung.role, place, tip=f"{name}, {rung.name}: {as_spread(score)}")
        for rung, score in scores
        if (place := place_of(score, axis)) is not None
    )


def _words(name: str, compared: list[Rung]) -> str:
    return " → ".join(as_spread(rung.per_field.get(name)) for rung in compared)
