"""Tuning the demo before its ladder is seen: learning rate and number of labels, on tissue of another seed.

Only arms without a teacher, judged by their validation fields. The best rate is what all arms of the
demo use; the number of labels is taken from where more labels still help the baseline, since where
they do not there is nothing for a teacher to add. Rates beyond the best were looked at after the
ladder; nothing is chosen from them. Kept in results/demo_tuning.json.
"""

import argparse
from pathlib import Path
from statistics import mean

from common import RESULTS
from segdistill.data.simulate import TissueSettings, write_tissue
from segdistill.files import write_json
from segdistill.settings import Arm
from segdistill.study.arms import Bench, make_entries, run_arm
from segdistill.study.demonstration import FIELDS, demo_settings
from segdistill.study.preparation import prepare

SEED = 99
RATES = (1e-3, 3e-3, 1e-2)
BEYOND = (2e-2, 3e-2)
BUDGETS = (1, 2, 3, 6, None)
SEEDS = (0, 1)


def main() -> None:
    """Train baselines at each rate and each number of labels, and keep their validation scores."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, required=True)
    given = parser.parse_args()
    settings = demo_settings(given.runs)
    write_tissue(settings.data, count=FIELDS, seed=SEED, settings=TissueSettings())
    prepared = prepare(settings, notice=print)
    entries = make_entries(prepared.samples, settings.student_channels)

    def score(rate: float, labels: int | None) -> float:
        bench = Bench(
            folder=given.runs / f"rate_{rate:g}",
            prepared=prepared,
            protocol=settings.protocol.model_copy(update={"learning_rate": rate}),
            student=settings.student,
            channels=settings.student_channels,
            entries=entries,
            teachings={},
            device="cpu",
            split_seed=settings.split_seed,
            notice=lambda _: None,
        )
        arm = Arm(name=f"labels_{labels or 'all'}", role="baseline", labels=labels)
        found = mean(run_arm(bench, arm, seed).facts["validation"] for seed in SEEDS)
        print(f"rate {rate:g}, labels {labels or 'all'}: {found:.4f}", flush=True)
        return found

    rates = {f"{rate:g}": score(rate, 6) for rate in RATES}
    best = max(RATES, key=lambda rate: rates[f"{rate:g}"])
    budgets = {str(labels or "all"): score(best, labels) for labels in BUDGETS}
    write_json(
        RESULTS / "demo_tuning.json",
        {
            "seed_of_tissue": SEED,
            "seeds": SEEDS,
            "by_rate_6_labels": rates,
            "by_labels_best_rate": budgets,
            "beyond_these_rates_6_labels,_after_the_ladder": {f"{rate:g}": score(rate, 6) for rate in BEYOND},
        },
    )


if __name__ == "__main__":
    main()
