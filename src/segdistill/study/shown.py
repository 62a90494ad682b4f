"""What was seen of the test fields beside scores, as the report shows it."""

from collections.abc import Mapping, Sequence

from segdistill.evaluation import Agreement, Reliability, expected_calibration_error, reliability_table
from segdistill.report import AgreementRow, ChannelRow, CostPoint, ReliabilityCurve, Role
from segdistill.study.channel_use import Use
from segdistill.study.seen import Seen

ROLES: Mapping[str, Role] = {"student": "student", "baseline": "baseline", "teacher": "teacher"}
"""Who was seen to how the report draws it."""


def reliability_curves(seen: Mapping[str, Seen], teacher: Reliability | None) -> tuple[ReliabilityCurve, ...]:
    """Return whether probabilities mean what they say: of the networks that were seen, and of their teacher."""
    tables = {who: made.reliability for who, made in seen.items()} | {"teacher": teacher}
    return tuple(_curve(who, table) for who, table in tables.items() if table is not None)


def agreement_rows(seen: Mapping[str, Seen]) -> tuple[AgreementRow, ...]:
    """Return who is right where networks and their teacher differ."""
    return tuple(
        _row(who, made.agreement) for who, made in seen.items() if made.agreement is not None and made.agreement.pixels
    )


def channel_rows(uses: Mapping[str, Use | None]) -> tuple[ChannelRow, ...]:
    """Return what each channel is worth to whom."""
    return tuple(
        ChannelRow(
            who=who, role=ROLES[who], channel=each.channel, whole=each.whole, without=each.without, fields=use.fields
        )
        for who, use in uses.items()
        if use is not None
        for each in use.channels
    )


def cost_point(name: str, role: Role, score: float | None, use: Use | None) -> tuple[CostPoint, ...]:
    """Return how good a network is and how long it takes; empty where either is not known."""
    if score is None or use is None:
        return ()
    return (CostPoint(name=name, role=role, score=score, milliseconds=use.milliseconds, parameters=use.parameters),)


def _curve(who: str, table: Reliability) -> ReliabilityCurve:
    bins: Sequence[tuple[float, float, int]] = [
        (each.probability, each.foreground, each.pixels)
        for each in reliability_table(table)
        if each.probability is not None and each.foreground is not None
    ]
    return ReliabilityCurve(who=who, role=ROLES[who], bins=tuple(bins), error=expected_calibration_error(table))


def _row(who: str, found: Agreement) -> AgreementRow:
    shares = (count / found.pixels for count in (found.both, found.first, found.second, found.neither))
    both, own, teacher, neither = shares
    return AgreementRow(who=who, both=both, only_own=own, only_teacher=teacher, neither=neither, pixels=found.pixels)
