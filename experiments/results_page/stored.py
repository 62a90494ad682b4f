"""Kept results as score tables, and the account that these give."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segdistill.errors import DataError
from segdistill.evaluation import ScoreTable
from segdistill.evaluation.summary import Record
from segdistill.settings import Arm, Distill
from segdistill.settings.base import validated
from segdistill.study.account import TEACHER, ArmAccount, Labels, make_account

DECIDE_ARMS = (
    "teacher",
    "teacher_channels",
    "control",
    "student",
    "student_channels",
    "labels",
    "seeds",
    "baseline",
    "all_labels",
    "targets_alone",
)
"""Settings from which the arms follow."""

METRICS = {"dice": "Dice", "ap50": "AP@0.5"}
"""What the page shows, and how it is written."""


@dataclass(frozen=True, eq=False)
class Result:
    """One kept run of the main job."""

    name: str
    """Path below the folder of results, without its ending."""

    content: Mapping[str, Any]
    """The JSON file."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """The run's settings, without the folders."""
        return self.content["settings"]

    @property
    def seeds(self) -> tuple[int, ...]:
        """In rising order."""
        return tuple(sorted(self.settings["seeds"]))

    def table(self, arm: str, metric: str) -> ScoreTable:
        """Return an arm's scores by seed and field."""
        kept = self.content["scores"][arm][metric]
        return ScoreTable(tuple(kept["seeds"]), tuple(kept["fields"]), np.array(kept["values"], dtype=np.float64))


@dataclass(frozen=True, eq=False)
class Study:
    """One result, or several that left out different fields, as one account."""

    results: tuple[Result, ...]
    """At least one."""

    seeds: tuple[int, ...]
    """Those that every result has."""

    account: Mapping[str, ArmAccount]
    """By arm, the teacher last."""

    labels: Mapping[str, tuple[int | None, ...]]
    """Arm to the labelled images that it used in all, every different number of the results; None: not known."""

    left_out: tuple[str, ...]
    """Arms that some results lack."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """Those of the page that every arm has."""
        return tuple(metric for metric in METRICS if all(metric in arm.tables for arm in self.account.values()))

    @property
    def fields(self) -> tuple[str, ...]:
        """What was scored: fields, or groups of them."""
        return next(iter(self.account.values())).tables["dice"].fields


def read_results(folder: Path) -> dict[str, Result]:
    """Return every kept run of the main job below a folder, by name.

    Args:
        folder: May be missing. JSON files without ``scores`` are of another kind and are left out.
    """
    found = {}
    for path in sorted(folder.rglob("*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        if "scores" in content:
            name = path.relative_to(folder).with_suffix("").as_posix()
            found[name] = Result(name, content)
    return found


def make_study(results: Sequence[Result]) -> Study | None:
    """Return the account of results that are alike in all but the field they left out.

    Args:
        results: At least one.

    Returns:
        None where no seed is common to all of them.

    Raises:
        DataError: A field stands in two results, or the arms are not those of the settings.
    """
    seeds = tuple(sorted(set.intersection(*(set(result.seeds) for result in results))))
    if not seeds:
        return None
    every = list(dict.fromkeys(arm for result in results for arm in result.content["scores"]))
    common = [arm for arm in every if all(arm in result.content["scores"] for result in results)]
    kept = {arm: [result.content["scores"][arm]["labels"] for result in results] for arm in common}
    labels = {
        arm: tuple(sorted(set(totals), key=lambda total: -1 if total is None else total))
        for arm, totals in kept.items()
    }
    arms = [arm for arm in _arms(results[0]) if arm.name in common]
    beside = _validation(results[0])
    counted = {arm: _as_labels(totals[-1], arm, beside) for arm, totals in labels.items()}
    records = [row for result in results for arm in common for row in _records(result, arm, seeds)]
    _check_fields(results)
    return Study(
        tuple(results),
        seeds,
        make_account(records, arms, counted),
        labels,
        tuple(arm for arm in every if arm not in common),
    )


def _arms(result: Result) -> tuple[Arm, ...]:
    """Return the arms that a result's settings ask for."""
    chosen = {name: result.settings[name] for name in DECIDE_ARMS}
    arms = validated(Distill, {**chosen, "data": "unknown", "out": "unknown"}).arms()
    found, wanted = set(result.content["scores"]) - {TEACHER}, {arm.name for arm in arms}
    if found != wanted:
        raise DataError(
            f"The result {result.name} has the arms {sorted(found)}, but its settings ask for {sorted(wanted)}."
            " Run its experiment again."
        )
    return arms


def _validation(result: Result) -> int:
    """Return how many labelled images the baseline used beside its budget; 0 where there is no budget to tell."""
    budget, baseline = result.settings["labels"], result.content["scores"].get("baseline")
    return baseline["labels"] - budget if budget and baseline else 0


def _as_labels(total: int | None, arm: str, validation: int) -> Labels:
    """Return the labels of an arm as they enter the account; what a teacher's arm used is kept in one number."""
    if total is None:
        return Labels(0, 0, None)
    own = validation if arm in ("baseline", "all-labels") else 0
    return Labels(total - own, own, 0)


def _records(result: Result, arm: str, seeds: Sequence[int]) -> list[Record]:
    """Return an arm's scores of some seeds; the teacher is frozen and has one seed of its own."""
    rows: list[Record] = []
    for metric in METRICS:
        if metric not in result.content["scores"][arm]:
            continue
        table = result.table(arm, metric)
        for seed, scores in zip(table.seeds, table.values, strict=True):
            if arm != TEACHER and seed not in seeds:
                continue
            rows += [
                Record(structure="all", metric=metric, value=float(value), empty="", arm=arm, seed=seed, field=field)
                for field, value in zip(table.fields, scores, strict=True)
            ]
    return rows


def _check_fields(results: Sequence[Result]) -> None:
    fields = [field for result in results for field in result.table("student", "dice").fields]
    twice = sorted({field for field in fields if fields.count(field) > 1})
    if twice:
        raise DataError(
            f"These fields were left out by two of the results {', '.join(result.name for result in results)}:"
            f" {', '.join(twice)}. Each field may count once."
        )
