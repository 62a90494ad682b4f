"""The verdict in plain words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from segdistill.evaluation import (
    ALPHA,
    MARGIN,
    Comparison,
    Gain,
    Interval,
    NonInferiority,
    gain_of,
    non_inferiority,
)
from segdistill.evaluation.sign_flips import smallest_p
from segdistill.report.wording import as_count, as_p, as_points
from segdistill.study.account import MAIN, STUDENT, TEACHER, ArmAccount
from segdistill.study.comparisons import ALONE, Beside, Compared, comparisons_of, of_role
from segdistill.study.saved import saved_sentence, saved_words

Answer = Literal["yes", "no", "unclear", "untested"]

SEEDS = 5
"""Seeds that a claim should rest on."""


@dataclass(frozen=True)
class Verdict:
    """Whether distillation helped, and the sentences that say so."""

    answer: Answer

    sentences: tuple[str, ...]
    """The answer first, then what it needs to be read rightly."""

    remarks: tuple[str, ...] = ()
    """What else the comparisons say, for readers who go on."""

    reserve: str = ""
    """What stands behind a yes or a no: that fewer seeds were run than a claim should rest on. Empty: nothing."""


def verdict_on(
    account: Mapping[str, ArmAccount],
    *,
    simulated: bool,
    margin: float = MARGIN,
    student: str = STUDENT,
    beside: Beside = ALONE,
) -> Verdict:
    """Return the verdict on an arm.

    Args:
        account: By arm.
        simulated: Whether the images are simulated; then the first sentence says so.
        margin: A loss of Dice that is put up with, fraction, > 0; printed wherever it is used.
        student: Name of the arm.
        beside: Tests of the study's other students.

    That a teacher helped or hurt is said only where the 95 % interval over fields and seeds excludes zero
    and the paired test over fields has p ≤ 0.05; where several students are asked about, the p value corrected
    for their number. All further differences are held to the p value that is corrected for all of them.
    """
    own = account[student]
    score = _percent(own.tables[MAIN].values.mean())
    where = " on simulated tissue" if simulated else ""
    compared = comparisons_of(account, student=student, beside=beside)
    asked = next((each for each in compared if each.pair.asked), None)
    if asked is None:
        answer: Answer = "untested"
        untaught = own.role in {"baseline", "all-labels", "rival"}
        first = [
            f"The network reaches {score} Dice{where}. No teacher taught it, so there was nothing to test."
            if untaught
            else f"The student reaches {score} Dice{where}. There is no baseline with the same labels,"
            " so what the teacher bought was not tested."
        ]
    else:
        what = "Pre-training" if own.role == "pretrained" else "Distillation"
        answer, first = _on_question(asked, score, where, what)
        first += _on_nothing_found(own, account)
    sentences = [
        *first,
        *_teacher_sentences(own, account),
        *_ceiling_sentences(own, account),
        *_control_sentences(account, compared, own),
    ]
    remarks = _margin_sentences(account, student, margin)
    if own.saved is not None:
        remarks.append(saved_sentence(own.saved))
        sentences.append(f"Labels saved: {saved_words(own.saved)}.")
    reserve = "" if asked is None or answer == "unclear" else on_few_seeds(asked.comparison)
    return Verdict(answer, tuple(sentences), tuple(remarks), reserve)


def on_few_seeds(found: Comparison) -> str:
    """Return on how many seeds a difference rests, where a claim should rest on more; else nothing."""
    return f"on {as_count(found.seeds, 'seed')}" if found.seeds < SEEDS else ""


def _on_question(asked: Compared, score: str, where: str, what: str) -> tuple[Answer, list[str]]:
    found = asked.comparison
    gain = found.gain
    size = f"{100 * abs(gain.mean):.1f} points of Dice"
    basis = f"({basis_words(found)}{_among_questions(asked)})"
    careful = _on_few(asked)
    if not asked.claimed:
        first = f"The data cannot tell whether {what.lower()} helped{where}: {as_points(gain.mean)} points of Dice"
        return "unclear", [f"{first}, at {score} {basis}.", *_on_detectable(found), *careful]
    if gain.mean > 0:
        return "yes", [f"{what} helped{where}: {size} more, to {score} {basis}.", *careful]
    return "no", [f"{what} hurt{where}: {size} less, at {score} {basis}.", *careful]


def _on_nothing_found(own: ArmAccount, account: Mapping[str, ArmAccount]) -> list[str]:
    """Return that neither the arm nor its baseline found anything; then their difference says nothing."""
    both = [own, account[own.baseline]] if own.baseline is not None else [own]
    if any(arm.tables[MAIN].values.any() for arm in both):
        return []
    return ["Neither it nor its baseline found anything on any test field: see whether they learnt at all."]


def _among_questions(asked: Compared) -> str:
    """Return the p value of one of several questions, corrected for their number; nothing of the only one."""
    if asked.questions < 2 or asked.judged is None:
        return ""
    return f", after Holm over the {as_count(asked.questions, 'student')} of the study {as_p(asked.judged)}"


def _on_detectable(found: Comparison) -> list[str]:
    """Return how large a difference could have been seen at all."""
    if found.detectable is None:
        return []
    seeds = as_count(found.seeds, "seed")
    return [
        f"With these {as_count(found.gain.units, 'field')} and {seeds} a difference below"
        f" {100 * found.detectable:.1f} points could not have been seen reliably."
    ]


def _on_few(asked: Compared) -> list[str]:
    """Return what too few fields or seeds mean for the answer."""
    found, sentences = asked.comparison, []
    if found.test is None:
        sentences.append("One field says nothing about other fields: there is no interval, no test and no claim.")
    elif smallest_p(found.gain.units) > ALPHA:
        least = as_p(smallest_p(found.gain.units))
        sentences.append(
            f"With {as_count(found.gain.units, 'field')} a paired test cannot give p below {least},"
            " so no claim can be made; six fields are the least."
        )
    elif found.gain.clear and not found.is_claimed():
        sentences.append(
            f"The interval alone would make a claim; the paired test over fields does not (p {as_p(found.test.p)})."
        )
    elif found.is_claimed() and not asked.claimed:
        sentences.append(
            f"Asked of this student alone it would be a claim; asked of {as_count(asked.questions, 'student')} it is"
            f" none (p {as_p(asked.judged)})."
        )
    if found.seeds < SEEDS:
        sentences.append(f"{as_count(found.seeds, 'seed')}; five are wanted for a claim.")
    return sentences


def _teacher_sentences(student: ArmAccount, account: Mapping[str, ArmAccount]) -> list[str]:
    if TEACHER not in account or student.recovery is None:
        return []
    teacher = account[TEACHER]
    reached = teacher.tables[MAIN].values.mean()
    if reached < student.tables[MAIN].values.mean():
        name = "oracle, though it was given the labels," if teacher.labels.oracle else "teacher"
        return [f"The {name} reaches {_percent(reached)}, less than the student: a share of that would say nothing."]
    name = "oracle, which was given the labels," if teacher.labels.oracle else "teacher"
    if student.recovery.value is None:
        return [f"The {name} reaches {_percent(reached)}: of that there is no share to recover."]
    share = _share(student.recovery.value)
    sentence = f"The {name} reaches {_percent(reached)}; the student recovers {share} of that"
    if student.gap is None:
        return [f"{sentence}."]
    if student.gap.value is None:
        return [f"{sentence}. What share of the gap it closes cannot be said: {student.gap.reason}."]
    return [f"{sentence} and closes {_share(student.gap.value)} of the gap to it."]


def _ceiling_sentences(student: ArmAccount, account: Mapping[str, ArmAccount]) -> list[str]:
    """Return how far labels themselves go, where that is less than half the way to the teacher."""
    if student.baseline is None or TEACHER not in account:
        return []
    baseline, teacher = account[student.baseline].tables[MAIN], account[TEACHER].tables[MAIN]
    gap = teacher.values.mean() - baseline.values.mean()
    return [
        f"With all labels and no teacher the same network reaches {_percent(arm.tables[MAIN].values.mean())}: of the"
        f" {100 * gap:.1f} points between baseline and teacher, labels themselves buy"
        f" {as_points(gain_of(arm.tables[MAIN], baseline).mean)}. The rest is more than these labels teach it from the"
        " channels it sees."
        for arm in of_role(account, "all-labels")
        if gain_of(arm.tables[MAIN], baseline).mean < gap / 2
    ]


def _control_sentences(
    account: Mapping[str, ArmAccount], compared: Sequence[Compared], student: ArmAccount
) -> list[str]:
    """Return what the student has beyond controls, whose teachers know no more channels than the student."""
    against = {each.pair.second: each for each in compared if each.pair.first == student.name}
    return [
        _on_control(control.gain, against[control.name])
        for control in of_role(account, "control")
        if control.gain is not None and control.name in against
    ]


def _on_control(bought: Gain, beyond: Compared) -> str:
    gain = beyond.comparison.gain
    control = "a control, whose teacher knows no more than the student's channels"
    basis = (
        f"(student minus control {as_points(gain.mean)} points, {interval_words(gain.interval)}; control minus baseline"
        f" {as_points(bought.mean)})"
    )
    if not beyond.claimed:
        return f"There is no evidence that the other channels brought anything beyond {control} {basis}."
    if gain.mean > 0:
        return f"Beyond {control}, the other channels brought something {basis}."
    return f"The student does worse than {control}: of the other channels nothing came through {basis}."


def _margin_sentences(account: Mapping[str, ArmAccount], student: str, margin: float) -> list[str]:
    """Return whether the student comes near all labels, and the control near the student."""
    own = account[student]
    tested = [(own, arm, "the same network with all labels and no teacher") for arm in of_role(account, "all-labels")]
    tested += [(arm, own, "the student") for arm in of_role(account, "control") if arm.budget == own.budget]
    return [
        margin_sentence(first.name, words, non_inferiority(first.tables[MAIN], second.tables[MAIN], margin=margin))
        for first, second, words in tested
    ]


def margin_sentence(first: str, second: str, found: NonInferiority) -> str:
    """Return in words whether an arm is worse than another by less than a margin."""
    margin = f"a margin of {100 * found.margin:g} points of Dice"
    basis = f"({as_points(found.gain.mean)} points, {interval_words(found.gain.interval)})"
    if found.answer == "shown":
        return f"Within {margin}, {first} does no worse than {second} {basis}."
    if found.answer == "worse":
        return f"By more than {margin}, {first} does worse than {second} {basis}."
    return f"Whether {first} stays within {margin} of {second}, the data cannot tell {basis}."


def basis_words(found: Comparison) -> str:
    """Return what a difference rests on: interval, fields, test."""
    words = f"{interval_words(found.gain.interval)}; {found.gain.better} of {found.gain.units} fields better"
    return words if found.test is None else f"{words}; paired test p {as_p(found.test.p)}"


def interval_words(interval: Interval | None) -> str:
    """Return an interval of a difference, in points.

    >>> interval_words(Interval(-0.01, 0.023, 0.95)), interval_words(None)
    ('95 % interval −1.0 to +2.3', 'one field, so no interval')
    """
    if interval is None:
        return "one field, so no interval"
    return f"95 % interval {as_points(interval.low)} to {as_points(interval.high)}"


def _percent(score: float) -> str:
    return f"{100 * score:.1f} %"


def _share(value: float) -> str:
    return f"{100 * value:z.0f} %".replace("-", "−")
