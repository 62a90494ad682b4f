"""The baseline of `livecell_phase`, tuned in each fold on that fold's validation field; no test field is looked at.

Only the baseline is tuned: one labelled field, the nucleus, the ResNet18 U-Net. What is best for it
in a fold is the protocol of every arm of that fold. Kept in results/livecell_tuning.json, which
livecell.py reads. With `--beyond`, what was chosen is compared with its neighbours outside the grid:
that was looked at after the ladders, and nothing is chosen from it.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from livecell import HELA, MAIN, PROTOCOL, TUNING, fields_of_fold, halve
from segdistill.data.datasets import read_dataset
from segdistill.data.sample import read_sample
from segdistill.files import write_json
from segdistill.settings import Arm
from segdistill.study.arms import RULE
from segdistill.training.entries import make_entry
from segdistill.training.fit import Recipe, fit

GRID = tuple({"learning_rate": rate, "intensity": strength} for strength in (0.05, 0.1) for rate in (1e-3, 3e-3))
"""Strengths were narrowed down on the validation field of the first fold, between 0 and 0.4."""
BEYOND = {
    1e-3: {"learning_rate": 3e-4},
    3e-3: {"learning_rate": 1e-2},
    0.05: {"intensity": 0.025},
    0.1: {"intensity": 0.2},
}
"""A value on the grid's edge to its neighbour outside."""


def outside(chosen: dict[str, float]) -> list[dict[str, float]]:
    """Return the neighbours of a choice outside the grid, one for each of its values."""
    return [chosen | BEYOND[value] for value in chosen.values()]


def main() -> None:
    """Train what is missing: one baseline per fold and choice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--folds", type=int, nargs="+", default=[1, 2, 3, 4, 5], help="others are read back only")
    parser.add_argument("--beyond", action="store_true", help="train the neighbours of what was chosen instead")
    given = parser.parse_args()
    half = given.runs / "livecell_half"
    halve(given.data / "livecell_phase", half, HELA)
    dataset = read_dataset(half, structure="cell", label_kind="instances")
    entries = {
        case.name: make_entry(read_sample(case, dataset), channels=("nucleus",), rule=RULE)
        for case in dataset.cases
        if case.name in HELA
    }

    def score(fold: int, changes: dict[str, Any]) -> float:
        training, validation, _ = fields_of_fold(fold)
        recipe = Recipe(
            Arm(name="baseline", role="baseline"), PROTOCOL.model_copy(update=changes), MAIN, dataset.structures
        )
        name = "_".join(f"{key}_{changes[key]:g}" for key in GRID[0])
        folder = given.runs / "livecell_tuning" / f"fold{fold}_{name}"
        fitted = fit(
            folder,
            recipe,
            entries=([entries[training[0]]], [entries[validation]]),
            seed=0,
            device="cpu",
            notice=lambda _: None,
        )
        found = fitted.outcome.best_score or 0.0
        print(f"fold {fold}, {name}: {found:.4f}", flush=True)
        return found

    if given.beyond:
        kept = json.loads(TUNING.read_text("utf-8"))
        beyond: dict[str, dict[str, float]] = {}
        for fold in given.folds:
            for choice in outside(kept["chosen"][str(fold)]):
                beyond.setdefault(words(choice), {})[f"fold {fold}"] = score(fold, choice)
        write_json(TUNING, kept | {"beyond_the_grid,_after_the_ladders": beyond})
        return
    scores = {fold: [score(fold, choice) for choice in GRID] for fold in given.folds}
    if len(scores) < len(HELA):
        return
    best = {str(fold): GRID[own.index(max(own))] for fold, own in scores.items()}
    by_choice = {
        words(choice): {f"fold {fold}": own[place] for fold, own in scores.items()} for place, choice in enumerate(GRID)
    }
    write_json(TUNING, {"steps": PROTOCOL.steps, "chosen": best, "by_choice": by_choice})


def words(choice: dict[str, float]) -> str:
    """Return a choice in words, its values in the order of the grid."""
    return ", ".join(f"{key} {choice[key]:g}" for key in GRID[0])


if __name__ == "__main__":
    main()
