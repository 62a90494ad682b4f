"""One student for everything against four specialists: what the generalist loses, structure by structure."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from results_page.words import listed, percent_spread, points, table
from segdistill.evaluation import Gain, ScoreTable, gain_of, mean_sd
from segdistill.report import Spread
from segdistill.report.wording import NONE, as_share

COMMAND = "python experiments/mixture.py --data DATA --runs RUNS"

GENERALISTS = ("generalist", "generalist, longer")

SOURCES = {
    "chest": "chest radiographs",
    "vessels": "fundus images",
    "nuclei": "nuclei of many kinds",
    "lesions": "breast ultrasound",
}


def mixture_section(path: Path) -> list[str]:
    """Return what one network for all structures loses against one for each data set.

    Args:
        path: What experiments/mixture.py kept; may be missing.
    """
    title = "## One student for chest organs, vessels, nuclei and lesions"
    if not path.exists():
        return [title, f"Not run yet. Command: `{COMMAND}`."]
    content = json.loads(path.read_text(encoding="utf-8"))
    steps = content["protocol"]["steps"]
    header = ["structure", "in", "images to train on", "share of crops", "test fields", "specialist, Dice"]
    for name, count in zip(GENERALISTS, (steps, steps * content["longer"]), strict=True):
        header += [f"{name} ({count} steps), Dice", "loses, points of Dice (95 %)"]
    header += ["HD95, px: specialist", *GENERALISTS]
    images = "; ".join(f"{SOURCES[name]}: {sum(parts.values())}" for name, parts in content["images"].items())
    order = sorted(content["specialists"], key=lambda structure: -_loss(content, structure, GENERALISTS[1]).mean)
    return [
        title,
        f"{content['student']} learns seven structures from four data sets in one training ({images}); a structure that"
        " nobody outlined in an image counts for nothing there. Its specialists are the same network, each on one data"
        f" set, {steps} steps. Crops are drawn from all training images alike, so that the generalist sees a small data"
        " set seldom: its share of the crops stands beside it."
        f" Seeds {listed(content['seeds'])}; mean ± sd over seeds, percent;"
        f" intervals over fields and seeds. Worst first. Command: `{COMMAND}`.",
        table(header, [_row(content, structure) for structure in order]),
    ]


def _row(content: Mapping[str, Any], structure: str) -> list[str]:
    own = content["specialists"][structure]
    specialist = _table(own["dice"])
    trained = content["images"][own["source"]]["train"]
    share = as_share(trained / sum(parts["train"] for parts in content["images"].values()))
    cells = [structure, SOURCES[own["source"]], str(trained), share, str(len(specialist.fields))]
    cells.append(percent_spread(specialist))
    for name in GENERALISTS:
        cells.append(percent_spread(_table(content[name][structure]["dice"])))
        cells.append(_loss_words(_loss(content, structure, name)))
    distances = [own, *(content[name][structure] for name in GENERALISTS)]
    return [*cells, *(_pixels(each.get("hd95")) for each in distances)]


def _loss(content: Mapping[str, Any], structure: str, name: str) -> Gain:
    """Return by how much the specialist is better."""
    tables = (content["specialists"][structure]["dice"], content[name][structure]["dice"])
    return gain_of(*map(_table, tables))


def _loss_words(loss: Gain) -> str:
    ends = "" if loss.interval is None else f" ({points(loss.interval.low)} to {points(loss.interval.high)})"
    return f"{points(loss.mean)}{ends}"


def _pixels(kept: Mapping[str, Any] | None) -> str:
    if kept is None:
        return NONE
    mean, sd = mean_sd(_table(kept).values)
    spread = Spread(mean=mean, sd=sd)
    return f"{spread.mean:.1f}" if spread.sd is None else f"{spread.mean:.1f} ± {spread.sd:.1f}"


def _table(kept: Mapping[str, Any]) -> ScoreTable:
    return ScoreTable(tuple(kept["seeds"]), tuple(kept["fields"]), np.array(kept["values"], dtype=np.float64))
