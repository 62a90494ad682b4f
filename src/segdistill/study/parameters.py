"""How many parameters arms have while they train, and how many of them stay in use: counted, not stated."""

from collections.abc import Mapping, Sequence

from segdistill.report import ParametersRow
from segdistill.study.account import ArmAccount
from segdistill.study.arms import ArmRun, counted_parameters
from segdistill.study.content import role_of


def parameter_rows(account: Mapping[str, ArmAccount], runs: Sequence[ArmRun]) -> tuple[ParametersRow, ...]:
    """Return the parameters of every arm that were counted.

    Args:
        account: By arm.
        runs: Every arm and seed; all seeds of an arm have the same network.
    """
    rows = []
    for arm in account.values():
        counted = counted_parameters(runs, arm.name)
        if counted is None:
            continue
        baseline = None if arm.baseline is None else counted_parameters(runs, arm.baseline)
        rows.append(
            ParametersRow(
                arm=arm.name,
                role=role_of(arm),
                trained=counted["trained"],
                kept=counted["kept"],
                beyond=None if baseline is None else counted["kept"] - baseline["kept"],
            )
        )
    return tuple(rows)
