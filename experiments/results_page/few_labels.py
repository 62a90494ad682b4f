"""Few labels (P3): what each way of pre-training brings, by number of labels, and where the paper's order fails."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from results_page.words import gain_words, listed, percent_spread, table
from segdistill.evaluation import ScoreTable, gain_of, mean_sd
from segdistill.report import Spread
from segdistill.report.wording import NONE, as_bytes, as_duration, as_percent, as_size

COMMAND = "python experiments/few_labels.py --data DATA --runs RUNS"

SCRATCH = "scratch"
WAYS = {
    "mae": "hidden patches (MAE)",
    "moco": "telling images apart (MoCo v3)",
    "agnostic": "features of the SAM as it is",
    "task": "hidden layers and predictions of the fitted SAM",
}
"""Way of pre-training to its name; in the paper each brings more than those above it, the last more than all."""

TITLES = {"busi": "breast ultrasound (`busi`)", "drive": "retinal vessels (`drive`)"}


def few_labels_section(folder: Path, pictures: Collection[str] = ()) -> list[str]:
    """Return what was found on each data set.

    Args:
        folder: Of what experiments/few_labels.py kept, a file for each data set and number of labels; may be missing.
        pictures: File names of the pictures of drawn images that lie in results/.
    """
    title = "## Few labels: ways of pre-training a small transformer"
    kept = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    if not kept:
        return [title, f"Not run yet. Command: `{COMMAND}`."]
    parts = [
        title,
        "Small, as two cores allow, and no result is the paper's: the SAM was made here, of 0.7 million parameters,"
        " tuned as a whole to find shapes drawn on training images, without anybody's labels."
        " MAE-Lite's ImageNet weights were not at hand, so"
        f" that arm is missing. Every budget's labelled images are the same for every seed. Command: `{COMMAND}`.",
    ]
    for name in dict.fromkeys(content["data"] for content in kept):
        own = sorted((content for content in kept if content["data"] == name), key=_labels)
        parts += [f"### {TITLES[name][0].upper()}{TITLES[name][1:]}", *_data_set(own)]
        if (picture := f"few_labels_{name}_drawn.png") in pictures:
            parts += [
                "Drawn images; real ones, which the run's report shows beside them, may not be passed on.",
                f"![Images that the diffusion model drew](results/{picture})",
            ]
    return parts


def _labels(content: Mapping[str, Any]) -> float:
    return float("inf") if content["budget"] is None else content["budget"]


def _budget(content: Mapping[str, Any]) -> str:
    return "all" if content["budget"] is None else str(content["budget"])


def _data_set(kept: Sequence[Mapping[str, Any]]) -> list[str]:
    base, fields = kept[0]["base"], len(kept[0]["arms"][SCRATCH]["dice"]["fields"])
    random, made = (as_percent(base[name]) for name in ("random", "made"))
    arms = list(dict.fromkeys(arm for content in kept for arm in content["arms"]))
    drawn = kept[0]["drawn"]
    return [
        f"The SAM's features know more of this task than those of the same network with random weights: on the test"
        f" images that show something a linear probe has Dice {made} % against {random} %. Tested on {fields} images."
        f" {kept[0]['student']}, seeds {listed(kept[0]['seeds'])}. *+N*: N images drawn by a diffusion model stand"
        f" beside the training images ({drawn['size']} pixels wide; {drawn['kept']} were kept).",
        reading(kept),
        "**Dice, %, mean ± sd over seeds, by number of labelled training images**",
        _by_budget(kept, arms, _dice),
        "**Gain over the student from scratch, points of Dice (95 %; fields better)**",
        _by_budget(kept, [arm for arm in arms if arm != SCRATCH], _gain),
        "**HD95, pixels**",
        _by_budget(kept, arms, _distance),
        "**Cost of what comes before the labels are learnt from**",
        table(
            ["what", "labels", "parameters trained", "time of the steps", "memory held, teacher included"],
            [row for content in kept for row in _costs(content)],
        ),
    ]


def reading(kept: Sequence[Mapping[str, Any]]) -> str:
    """Return where the order of the paper holds: the fitted SAM's lesson above every other.

    Args:
        kept: Results of one data set, by number of labels.
    """
    sentences = []
    for content in kept:
        for extra in sorted({_extra(arm) for arm in content["arms"] if arm != SCRATCH}):
            others = [SCRATCH, *(f"{way}-{extra}" for way in WAYS if way != "task")]
            means = {arm: _mean(content, arm) for arm in (*others, f"task-{extra}") if arm in content["arms"]}
            best = max(means, key=lambda arm: means[arm])
            where = f"{_budget(content)} labels" + (f" and {extra} drawn images" if extra else "")
            if best == f"task-{extra}":
                second = max((arm for arm in means if arm != best), key=lambda arm: means[arm])
                clear = _clear(content, best, second)
                sentences.append(f"with {where} the task-specific way is best{'' if clear else ', not clearly'}")
            else:
                sentences.append(f"**with {where} it is not: {_arm(best)} is**")
    text = "; ".join(sentences)
    return f"**Reading.** In the paper task-specific distillation is best everywhere. Here {text}."


def _clear(content: Mapping[str, Any], first: str, second: str) -> bool:
    interval = gain_of(_table(content, first), _table(content, second)).interval
    return interval is not None and interval.low > 0


def _extra(arm: str) -> int:
    return int(arm.rpartition("-")[2])


def _arm(arm: str) -> str:
    if arm == SCRATCH:
        return "from scratch"
    extra = _extra(arm)
    return WAYS[arm.rpartition("-")[0]] + (f" +{extra}" if extra else "")


def _table(content: Mapping[str, Any], arm: str, metric: str = "dice") -> ScoreTable:
    kept = content["arms"][arm][metric]
    return ScoreTable(tuple(kept["seeds"]), tuple(kept["fields"]), np.array(kept["values"], dtype=np.float64))


def _mean(content: Mapping[str, Any], arm: str) -> float:
    return float(_table(content, arm).values.mean())


def _by_budget(
    kept: Sequence[Mapping[str, Any]], arms: Sequence[str], cell: Callable[[Mapping[str, Any], str], str]
) -> str:
    rows = [[_arm(arm), *(cell(content, arm) for content in kept)] for arm in arms]
    return table(["arm", *map(_budget, kept)], rows)


def _dice(content: Mapping[str, Any], arm: str) -> str:
    return percent_spread(_table(content, arm)) if arm in content["arms"] else NONE


def _gain(content: Mapping[str, Any], arm: str) -> str:
    if arm not in content["arms"]:
        return NONE
    return gain_words(gain_of(_table(content, arm), _table(content, SCRATCH)))


def _distance(content: Mapping[str, Any], arm: str) -> str:
    if "hd95" not in content["arms"].get(arm, {}):
        return NONE
    mean, sd = mean_sd(_table(content, arm, "hd95").values)
    spread = Spread(mean=mean, sd=sd)
    return f"{spread.mean:.1f}" if spread.sd is None else f"{spread.mean:.1f} ± {spread.sd:.1f}"


def _costs(content: Mapping[str, Any]) -> list[list[str]]:
    return [
        [
            "the SAM is fitted" if name == "adapt" else _arm(name),
            _budget(content),
            as_size(cost["parameters"]),
            NONE if cost["seconds"] is None else as_duration(cost["seconds"]),
            NONE if cost["peak_bytes"] is None else as_bytes(cost["peak_bytes"]),
        ]
        for name, cost in content["costs"].items()
        if name == "adapt" or name.startswith("task") or content["budget"] is None
    ]
