"""Tuning the demo's baseline, before its ladder was seen: learning rates, on tissue of another seed.

Only arms without a teacher, judged by their validation fields; the best rate is what all arms of the
demo use. Kept in results/demo_tuning.json.
"""

import argparse
from pathlib import Path

from common import RESULTS
from segdistill.data.simulate import TissueSettings, write_tissue
from segdistill.files import write_json
from segdistill.study.arms import Bench, make_entries, run_arm
from segdistill.study.demonstration import FIELDS, demo_settings
from segdistill.study.preparation import prepare

SEED = 99
RATES = (1e-3, 3e-3, 1e-2)


def main() -> None:
    """Train the baselines of few and of all labels at each rate, and keep their validation scores."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, required=True)
    given = parser.parse_args()
    settings = demo_settings(given.runs)
    write_tissue(settings.data, count=FIELDS, seed=SEED, settings=TissueSettings())
    prepared = prepare(settings, notice=print)
    entries = make_entries(prepared.samples, settings.student_channels)
    scores: dict[str, dict[str, float]] = {}
    for rate in RATES:
        protocol = settings.protocol.model_copy(update={"learning_rate": rate})
        bench = Bench(
            folder=given.runs / f"rate_{rate:g}",
            prepared=prepared,
            protocol=protocol,
            student=settings.student,
            channels=settings.student_channels,
            entries=entries,
            teachings={},
            device="cpu",
            split_seed=settings.split_seed,
            notice=lambda _: None,
        )
        baselines = [arm for arm in settings.arms() if arm.teacher is None]
        scores[f"{rate:g}"] = {arm.name: run_arm(bench, arm, 0).facts["validation"] for arm in baselines}
        print(rate, scores[f"{rate:g}"], flush=True)
    write_json(RESULTS / "demo_tuning.json", {"seed_of_tissue": SEED, "validation_dice": scores})


if __name__ == "__main__":
    main()
