"""Every arm and seed of a run: one after another, or some side by side."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from segdistill.engine import side_by_side
from segdistill.engine.notice import unheard
from segdistill.settings import Arm
from segdistill.study.arms import DONE, ArmRun, Bench, arm_folder, run_arm

Notice = Callable[[str], None]


def run_arms(bench: Bench, asked: Sequence[tuple[Arm, int]]) -> list[ArmRun]:
    """Do what is missing, as many at once as the bench says, and return every run in the order asked for.

    Args:
        bench: What all arms share.
        asked: Arm and seed of each run.

    Raises:
        SegdistillError: See ``run_arm`` and ``side_by_side``.
    """
    missing = [(arm, seed) for arm, seed in asked if not (arm_folder(bench, arm, seed) / DONE).exists()]
    if bench.at_once > 1 and len(missing) > 1:
        side_by_side(_run_packed, packed(bench), missing, at_once=bench.at_once, notice=bench.notice)
    return [_run_named(bench, arm, seed, bench.notice) for arm, seed in asked]


def packed(bench: Bench) -> Bench:
    """Return a bench that pickles: its teachers have spoken and are not asked again, and it tells nobody."""
    teachings = {name: replace(teaching, summon=None) for name, teaching in bench.teachings.items()}
    return replace(bench, teachings=teachings, notice=unheard)


def _run_packed(bench: Bench, asked: tuple[Arm, int], notice: Notice) -> None:
    arm, seed = asked
    _run_named(bench, arm, seed, notice)


def _run_named(bench: Bench, arm: Arm, seed: int, notice: Notice) -> ArmRun:
    """Do one run, each of whose lines names it."""
    return run_arm(replace(bench, notice=lambda text: notice(f"{arm.name}, seed {seed}: {text}")), arm, seed)
