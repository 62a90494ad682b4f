"""The verdict in plain words."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from segdistill.evaluation import Interval, Ratio
from segdistill.study.account import MAIN, TEACHER, ArmAccount, Gain, gain_of

Answer = Literal["yes", "no", "unclear", "untested"]


@dataclass(frozen=True)
class Verdict:
    """Whether distillation helped, and the sentences that say so."""

    answer: Answer
    sentences: tuple[str, ...]


def verdict_on(account: Mapping[str, ArmAccount], *, simulated: bool) -> Verdict:
    """Return the verdict on the arm "student".

    Args:
        account: By arm.
        simulated: Whether the images are simulated; then the first sentence says so.

    A gain is claimed only where its 95 % interval over fields and seeds excludes zero.
    """
    student = account["student"]
    score = _points(student.tables[MAIN].values.mean())
    where = " on simulated tissue" if simulated else ""
    if student.gain is None:
        return Verdict(
            "untested",
            (
                f"The student reaches {score} Dice{where}. There is no baseline with the same labels,"
                " so what the teacher bought was not tested.",
                *_teacher_sentences(student, account),
            ),
        )
    answer, first = _on_gain(student.gain, score, where)
    return Verdict(answer, (first, *_teacher_sentences(student, account), *_control_sentences(account)))


def _on_gain(gain: Gain, score: str, where: str) -> tuple[Answer, str]:
    between = _interval(gain.interval)
    basis = f"{gain.better} of {gain.units} fields better"
    size = f"{abs(100 * gain.mean):.1f} points of Dice"
    if gain.clear and gain.mean > 0:
        return "yes", f"Distillation helped{where}: {size} more, to {score} ({between}; {basis})."
    if gain.clear:
        return "no", f"Distillation hurt{where}: {size} less, at {score} ({between}; {basis})."
    return (
        "unclear",
        f"The data cannot tell whether distillation helped{where}: {signed(gain.mean)} points of Dice, at {score}"
        f" ({between}; {basis}).",
    )


def _teacher_sentences(student: ArmAccount, account: Mapping[str, ArmAccount]) -> list[str]:
    if TEACHER not in account or student.recovery is None:
        return []
    teacher = account[TEACHER]
    name = "oracle, which was given the labels," if teacher.labels.oracle else "teacher"
    sentence = (
        f"The {name} reaches {_points(teacher.tables[MAIN].values.mean())}; the student recovers"
        f" {_ratio(student.recovery)} of that"
    )
    if student.gap is None:
        return [f"{sentence}."]
    return [f"{sentence} and closes {_ratio(student.gap)} of the gap to it."]


def _control_sentences(account: Mapping[str, ArmAccount]) -> list[str]:
    """Return what the student has beyond a control, whose teacher knows no more channels than the student."""
    control = next((arm for arm in account.values() if arm.role == "control"), None)
    if control is None or control.gain is None:
        return []
    beyond = gain_of(account["student"].tables[MAIN], control.tables[MAIN])
    bought = f"A control teacher, which sees only the student's channels, bought {signed(control.gain.mean)} points"
    difference = f"student minus control {signed(beyond.mean)} points, {_interval(beyond.interval)}"
    if beyond.clear and beyond.mean > 0:
        return [f"{bought}; beyond that, the other channels brought something ({difference})."]
    return [f"{bought}, so the gain is no evidence that knowledge of the other channels came through ({difference})."]


def signed(difference: float) -> str:
    """Return a difference of scores in points, with its sign.

    >>> signed(-0.004)
    '−0.4'
    """
    points = f"{100 * abs(difference):.1f}"
    return points if points == "0.0" else f"{'+' if difference > 0 else '−'}{points}"


def _points(score: float) -> str:
    return f"{100 * score:.1f} %"


def _interval(interval: Interval | None) -> str:
    if interval is None:
        return "one field, so no interval"
    return f"95 % interval {signed(interval.low)} to {signed(interval.high)}"


def _ratio(ratio: Ratio) -> str:
    if ratio.value is None:
        return f"an unknown share ({ratio.reason})"
    return f"{100 * ratio.value:.0f} %"
