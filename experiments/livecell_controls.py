"""`livecell_phase` with every control and rival of P1, as a study: which part of a gain is the teacher's other channel.

The folds, the protocol and the student are those of livecell.py; the teacher is fitted in the run, out of fold. Beside
it: one that sees no more than the student, one that is shown the phase contrast of another field, labels blurred by
two pixels in place of a teacher, an embedded SAM asked by boxes (an oracle), by a grid and through a probe; the
factorial of distillation, boundary and uncertainty; and rivals of the same purpose. Fixed before the first result.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from common import RESULTS, kept_scores, machine
from livecell import CHANNELS, HELA, MAIN, PROTOCOL, SHIFT, TEACHER_STEPS, fold_manifest, halve, protocol_of_fold
from segdistill.files import write_json
from segdistill.settings import Study, validated
from segdistill.study.study_account import StudyAccount, conclude_study
from segdistill.study.study_job import study

SEEING = {"channels": CHANNELS}
SAM = {"teacher": "sam-tiny-tissue", **SEEING}
TEACHERS = {
    "phase": {"teacher": f"fit:{MAIN}", **SEEING},
    "nucleus-alone": {"teacher": f"fit:{MAIN}", "channels": CHANNELS[:1]},
    "shuffled": {"teacher": f"fit:{MAIN}", **SEEING, "shuffled": CHANNELS[1:]},
    "blurred": {"teacher": "blurred:2", "channels": ()},
    "sam-boxes": {**SAM, "prompting": "boxes"},
    "sam-grid": {**SAM, "prompting": "grid"},
    "sam-probe": {**SAM, "prompting": "probe"},
}
FACTORIAL = tuple(
    {"name": f"{name}{bare}{fixed}", **taught, **boundary, **weighting, "labels": (1,) if bare + fixed else (1, "all")}
    for name, taught in (("baseline", {}), ("student", {"teacher": "phase"}))
    for bare, boundary in (("", {}), ("-no-boundary", {"boundary": False}))
    for fixed, weighting in (("", {}), ("-fixed", {"weighting": "fixed"}))
)
ARMS = (
    *FACTORIAL,
    {"name": "targets-alone", "teacher": "phase", "labels": (0,)},
    {"name": "control", "teacher": "nucleus-alone"},
    {"name": "shuffled", "teacher": "shuffled"},
    {"name": "blurred-labels", "teacher": "blurred", "labels": ("all",)},
    {"name": "oracle", "teacher": "sam-boxes"},
    {"name": "grid", "teacher": "sam-grid"},
    {"name": "probe", "teacher": "sam-probe"},
    {"name": "student-outputs", "teacher": "phase", "distillation": "binary_kl"},
    {"name": "prototypes", "teacher": "phase", "distillation": "prototype_matching"},
    {"name": "channel-dropout", "dropped_channels": CHANNELS[1:]},
    {"name": "stain-head", "predicted_channels": CHANNELS[1:]},
)


def settings_of(half: Path, out: Path, *, fold: int, seeds: tuple[int, ...], steps: int) -> Study:
    """Return the study of one fold."""
    return validated(
        Study,
        {
            "data": fold_manifest(half, fold),
            "out": out,
            "label_kind": "instances",
            "student_channels": CHANNELS[:1],
            "students": (MAIN,),
            "teachers": TEACHERS,
            "arms": ARMS,
            "labels": (1,),
            "seeds": seeds,
            "protocol": protocol_of_fold(fold, steps),
            "teacher_steps": TEACHER_STEPS,
        },
    )


def kept(settings: Study, done: StudyAccount) -> dict[str, Any]:
    """Return what is kept of a fold."""
    finished = done.students[MAIN]
    return {
        "student": MAIN,
        "seeds": list(settings.seeds),
        "steps": settings.protocol.steps,
        "arms": kept_scores(finished, ("dice", "ap50")),
        "verdict": list(finished.verdict.sentences),
        "machine": machine(),
    }


def main() -> None:
    """Run what is missing, the first seed of every fold before the second of any."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--folds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=PROTOCOL.steps, help="fewer only to see whether it runs")
    parser.add_argument("--dry", action="store_true", help="keep nothing")
    given = parser.parse_args()
    half = given.runs / "livecell_half"
    halve(given.data / "livecell_phase", half, [*HELA, *SHIFT.values()])
    for count in range(1, len(given.seeds) + 1):
        for fold in given.folds:
            path, seeds = RESULTS / "livecell_controls" / f"fold{fold}.json", tuple(given.seeds[:count])
            if path.exists() and set(seeds) <= set(json.loads(path.read_text("utf-8"))["seeds"]):
                continue
            name = f"livecell_controls/fold{fold}"
            settings = settings_of(half, given.runs / name, fold=fold, seeds=seeds, steps=given.steps)
            state = study(settings, notice=lambda text, name=name: print(f"{name}: {text}", flush=True))
            done = conclude_study(settings, state)
            print(f"{name}: {' '.join(done.students[MAIN].verdict.sentences)}", flush=True)
            if not given.dry:
                write_json(path, kept(settings, done))


if __name__ == "__main__":
    main()
