"""How many parameters stay in use, told from what was counted."""

from pathlib import Path

from segdistill.study.arms import ArmRun
from segdistill.study.parameters import parameter_rows


def run_of(account, name, **facts):
    return ArmRun(account[name].arm, 0, Path(name), [], account[name].labels, facts)


def test_an_arm_stands_beside_its_baseline(account):
    found = account({"baseline": 0.6, "student": 0.7, "teacher": 0.9})
    runs = [
        run_of(found, "baseline", parameters={"trained": 100, "kept": 100}),
        run_of(found, "student", parameters={"trained": 130, "kept": 110}),
    ]
    rows = {row.arm: (row.trained, row.kept, row.beyond) for row in parameter_rows(found, runs)}
    assert rows == {"baseline": (100, 100, None), "student": (130, 110, 10)}


def test_runs_that_counted_nothing_are_left_out(account):
    found = account({"baseline": 0.6, "student": 0.7})
    of_before = run_of(found, "baseline")
    assert parameter_rows(found, [of_before, run_of(found, "student")]) == ()
    (row,) = parameter_rows(found, [of_before, run_of(found, "student", parameters={"trained": 2, "kept": 1})])
    assert (row.arm, row.beyond) == ("student", None)
