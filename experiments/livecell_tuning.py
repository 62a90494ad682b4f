"""The baseline of `livecell_phase`, tuned on fields that are scored nowhere.

RAW264.7 set3 trains and set2 judges; neither is among the fields of livecell.py, nor equal to one of
them (sets 1 and 4, and sets 2 and 5, have equal pixels). Only the baseline is tuned: one labelled
field, the nucleus, the ResNet18 U-Net; what is best for it is the protocol of every arm. Kept in
results/livecell_tuning.json.
"""

import argparse
from pathlib import Path
from statistics import mean
from typing import Any

from common import RESULTS
from livecell import PROTOCOL, halve
from segdistill.data.datasets import read_dataset
from segdistill.data.sample import read_sample
from segdistill.files import write_json
from segdistill.settings import Arm
from segdistill.study.arms import RULE
from segdistill.training.entries import make_entry
from segdistill.training.fit import Recipe, fit

TRAINING, VALIDATION = "RAW40X_set3", "RAW40X_set2"
RATES = (3e-4, 1e-3, 3e-3, 1e-2)
STRENGTHS = (0.2, 0.4, 0.6, 0.8)
"""Of the random changes of the student's intensities."""
SEEDS = (0, 1)


def main() -> None:
    """Train baselines at each rate, each strength of augmentation at the best; the best longer, and in float32."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=Path, required=True)
    given = parser.parse_args()
    half = given.runs / "livecell_tuning_half"
    halve(given.data / "livecell_phase", half, [TRAINING, VALIDATION])
    dataset = read_dataset(half, structure="cell", label_kind="instances")
    entries = {
        case.name: make_entry(read_sample(case, dataset), channels=("nucleus",), rule=RULE) for case in dataset.cases
    }

    def score(name: str, **changes: Any) -> float:
        recipe = Recipe(
            Arm(name="baseline", role="baseline"),
            PROTOCOL.model_copy(update=changes),
            "unet-resnet18",
            dataset.structures,
        )
        found = mean(
            fit(
                given.runs / "livecell_tuning" / f"{name}_seed_{seed}",
                recipe,
                entries=([entries[TRAINING]], [entries[VALIDATION]]),
                seed=seed,
                device="cpu",
                notice=lambda _: None,
            ).outcome.best_score
            or 0.0
            for seed in SEEDS
        )
        print(f"{name}: {found:.4f}", flush=True)
        return found

    rates = {rate: score(f"rate_{rate:g}_intensity_0.2", learning_rate=rate, intensity=0.2) for rate in RATES}
    rate = max(rates, key=rates.__getitem__)
    strengths = {
        strength: score(f"rate_{rate:g}_intensity_{strength:g}", learning_rate=rate, intensity=strength)
        for strength in STRENGTHS
    }
    best = {"learning_rate": rate, "intensity": max(strengths, key=strengths.__getitem__)}
    scores = {
        "by_rate_strength_0.2": rates,
        "by_strength_best_rate": strengths,
        "best_otherwise": {
            "as above": strengths[best["intensity"]],
            "twice the steps": score("longer", **best, steps=2 * PROTOCOL.steps),
            "float32": score("float32", **best, precision="32-true"),
        },
    }
    found = {f"best_{name}": value for name, value in best.items()}
    write_json(RESULTS / "livecell_tuning.json", {"steps": PROTOCOL.steps, "seeds": SEEDS, **found, **scores})


if __name__ == "__main__":
    main()
