"""Made-up studies: scores by arm, seed and field, and what they come to."""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from segdistill.data.simulate import TissueSettings, write_tissue
from segdistill.settings import Arm
from segdistill.study.account import TEACHER, Labels, make_account

sys.path.insert(0, str(Path(__file__).parent))  # for study_usual, which child processes import too

ARMS = {
    arm.name: arm
    for arm in (
        Arm(name="baseline", role="baseline", labels=3),
        Arm(name="student", role="student", teacher="teacher", labels=3),
        Arm(name="control", role="control", teacher="control", labels=3),
        Arm(name="targets-alone", role="targets alone", teacher="teacher", labels=0),
        Arm(name="baseline-12", role="baseline", labels=12),
        Arm(name="all-labels", role="all-labels"),
        Arm(name="all-labels-student", role="all-labels student", teacher="teacher"),
    )
}
TRAINING = {"baseline-12": 12, "all-labels": 48, "all-labels-student": 48, "targets-alone": 0}


def records_of(scores: Mapping[str, np.ndarray], *, metric: str = "dice", structure: str = "cell") -> list[dict]:
    """Return rows from arm → array of seed by field."""
    return [
        {"arm": arm, "seed": seed, "field": f"field{field:02d}", "structure": structure, "metric": metric,
         "value": float(value), "empty": ""}
        for arm, values in scores.items()
        for (seed, field), value in np.ndenumerate(np.asarray(values, dtype=float))
    ]  # fmt: skip


def account_of(
    means: Mapping[str, float],
    *,
    fields: int = 8,
    seeds: int = 5,
    noise: float = 0.01,
    seen: int | None = 10,
    metrics: Sequence[str] = ("dice",),
) -> dict:
    """Return the account of arms with these mean scores, noise beside; the teacher is frozen."""
    draw = np.random.default_rng(0)
    scores = {
        arm: np.full((1, fields), mean) if arm == TEACHER else mean + noise * draw.standard_normal((seeds, fields))
        for arm, mean in means.items()
    }
    arms = [arm for name, arm in ARMS.items() if name in means]
    labels = {
        arm.name: Labels(TRAINING.get(arm.name, 3), 2, 0 if arm.teacher is None else seen) for arm in ARMS.values()
    }
    rows = [row for metric in metrics for row in records_of(scores, metric=metric)]
    return make_account(rows, arms, labels | {TEACHER: Labels(0, 0, seen)})


@pytest.fixture(scope="session")
def rows() -> Callable[..., list[dict]]:
    """Return the maker of rows of scores."""
    return records_of


@pytest.fixture(scope="session")
def account() -> Callable[..., dict]:
    """Return the maker of accounts."""
    return account_of


@pytest.fixture(scope="session")
def tissue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of eight small simulated fields; nothing writes to it."""
    folder = tmp_path_factory.mktemp("tissue")
    write_tissue(folder, count=8, seed=5, settings=TissueSettings(height=48, width=64))
    return folder
