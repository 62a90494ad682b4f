"""`livecell_phase` with every control and rival of P1: each arm beside the baseline of the same labels."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from results_page.words import listed, percent_spread, points, table
from segdistill.evaluation import ScoreTable
from segdistill.report.wording import NONE

COMMAND = "python experiments/livecell_controls.py --data DATA --runs RUNS"

METRICS = {"dice": "Dice", "ap50": "AP@0.5"}

WORDS = {
    "baseline": "labels alone",
    "student": "labels and the teacher on nucleus and phase",
    "targets-alone": "the teacher alone, not one label",
    "control": "a teacher that sees the nucleus alone",
    "shuffled": "a teacher shown the phase contrast of another field",
    "blurred-labels": "labels blurred by two pixels in place of a teacher",
    "oracle": "an embedded SAM asked by boxes from the labels",
    "grid": "an embedded SAM asked by a grid of points",
    "probe": "an embedded SAM through a probe fitted out of fold",
    "student-outputs": "as student, on outputs by binary KL",
    "prototypes": "as student, on prototypes of features",
    "channel-dropout": "rival: the phase contrast dropped at random",
    "stain-head": "rival: predicts the phase contrast beside its masks",
}
"""Arms of the plan in words; what follows a name there, such as -no-boundary, says the rest."""


def controls_section(folder: Path) -> list[str]:
    """Return every arm's scores, fold by fold, and its mean difference from the baseline of the same labels.

    Args:
        folder: Of what experiments/livecell_controls.py kept, one file for each fold; may be missing.
    """
    title = "### Every control and rival"
    kept = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("fold*.json"))}
    if not kept:
        return [title, f"Not run yet. Command: `{COMMAND}`."]
    arms = list(dict.fromkeys(arm for content in kept.values() for arm in content["arms"]))
    header = ["arm", "what it learns from", "labels used"]
    for words in METRICS.values():
        header += [*(f"{words}, {fold}" for fold in kept), f"{words} over its baseline, points"]
    first = next(iter(kept.values()))
    seeds = "; ".join(f"{fold}: seeds {listed(content['seeds'])}" for fold, content in kept.items())
    return [
        title,
        f"{first['student']}, one field left out in each fold ({seeds}), {first['steps']} steps, percent, mean ± sd"
        " over seeds. One field per fold: such differences are shown, and none is claimed. The baseline of an arm has"
        f" its labels, boundary and weighting, and no teacher. Command: `{COMMAND}`.",
        table(header, [_row(arm, kept) for arm in arms]),
    ]


def baseline_of(arm: str, known: Mapping[str, Any]) -> str | None:
    """Return the arm without a teacher that has the same labels and, where that was run, the same other terms.

    >>> known = dict.fromkeys(["baseline-1", "baseline-no-boundary-1", "student-no-boundary-1", "targets-alone-0"])
    >>> baseline_of("student-no-boundary-1", known), baseline_of("control-1", known)
    ('baseline-no-boundary-1', 'baseline-1')
    >>> baseline_of("targets-alone-0", known) is None
    True
    """
    name, _, budget = arm.rpartition("-")
    if name.startswith("baseline") or not name:
        return None
    own = f"baseline{name.removeprefix('student')}-{budget}" if name.startswith("student-") else ""
    return next((each for each in (own, f"baseline-{budget}") if each in known), None)


def _row(arm: str, kept: Mapping[str, Any]) -> list[str]:
    labels = {str(content["arms"][arm]["labels"]) for content in kept.values() if arm in content["arms"]}
    cells = [arm, _words(arm), " or ".join(sorted(labels))]
    for metric in METRICS:
        tables = {fold: _table(content["arms"].get(arm), metric) for fold, content in kept.items()}
        cells += [NONE if each is None else percent_spread(each) for each in tables.values()]
        differences = []
        for fold, content in kept.items():
            baseline, own = baseline_of(arm, content["arms"]), tables[fold]
            other = None if baseline is None else _table(content["arms"][baseline], metric)
            if own is not None and other is not None:
                differences.append(float(own.values.mean() - other.values.mean()))
        cells.append(points(float(np.mean(differences))) if differences else NONE)
    return cells


def _words(arm: str) -> str:
    name = arm.rpartition("-")[0]
    known = max((each for each in WORDS if name == each or name.startswith(f"{each}-")), key=len, default=None)
    if known is None:
        return NONE
    rest = name.removeprefix(known).replace("-no-boundary", ", no boundary term").replace("-fixed", ", fixed weights")
    return WORDS[known] + rest


def _table(scores: Mapping[str, Any] | None, metric: str) -> ScoreTable | None:
    if scores is None or metric not in scores:
        return None
    found = scores[metric]
    return ScoreTable(tuple(found["seeds"]), tuple(found["fields"]), np.array(found["values"], dtype=float))
