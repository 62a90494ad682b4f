"""How far two experts agree on one field, and how published tools do against each."""

import json
from pathlib import Path

from results_page.words import listed, table
from segdistill.report.wording import as_percent

METRICS = {"dice": "Dice", "ap50": "AP@0.5", "f1": "F1", "pq": "PQ"}


def agreement_section(path: Path, *, command: str) -> list[str]:
    """Return what each mask scores against each expert, and whether the experts' agreement is a ceiling at all.

    Args:
        path: What experiments/experts.py kept.
        command: Makes it.
    """
    if not path.exists():
        return [f"Not run yet. Command: `{command}`."]
    content = json.loads(path.read_text(encoding="utf-8"))
    against, cells = content["against"], content["cells"]
    experts = list(against)
    names = [name for name in cells if name not in experts]
    head = ["masks", "cells", *(f"{words}, {expert}" for expert in experts for words in METRICS.values())]
    rows = [
        [name, f"{cells[name]:,}", *(_score(against[expert], name, metric) for expert in experts for metric in METRICS)]
        for name in [*experts, *names]
    ]
    first, second = experts
    agreed = against[first][second]
    above = {
        expert: [name for name in names if against[expert][name]["ap50"] > against[expert][other]["ap50"]]
        for expert, other in ((first, second), (second, first))
    }
    return [
        f"One field, its right half. The experts agree with each other to {as_percent(agreed['dice'])} % Dice and"
        f" {as_percent(agreed['ap50'])} % AP@0.5. "
        + " ".join(f"Above that in AP@0.5 against {expert}: {listed(own)}." for expert, own in above.items() if own)
        + f" Command: `{command}`.",
        table(head, rows),
    ]


def _score(scores: dict[str, dict[str, float]], name: str, metric: str) -> str:
    return as_percent(scores[name][metric]) if name in scores else ""
