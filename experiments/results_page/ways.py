"""Ways of making objects of maps, compared on the same fields."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from results_page.words import between, listed, percent_spread, points, table
from segdistill.evaluation import ScoreTable, gain_of

SHIPPED = "boundaries"


def ways_section(path: Path, *, command: str) -> list[str]:
    """Return how each way scored, and how it differs from the one that segdistill ships.

    Args:
        path: What experiments/nuclei.py kept.
        command: Makes it.
    """
    if not path.exists():
        return [f"Not run yet. Command: `{command}`."]
    content = json.loads(path.read_text(encoding="utf-8"))
    tables = {name: _table(seeds) for name, seeds in content["ways"].items()}
    rows = [
        [name, percent_spread(scores), *_against(name, tables), _cuts(content["ways"][name])]
        for name, scores in tables.items()
    ]
    fields = listed(f"{count} for {part}" for part, count in content["fields"].items())
    seeds = listed(tables[SHIPPED].seeds)
    return [
        f"{content['student']}, fields: {fields}; seeds {seeds}; thresholds tuned on the validation fields;"
        f" {content['machine']['processor']}. Command: `{command}`.",
        table(
            ["objects from", "AP@0.5 (mean ± sd over seeds)", f"against {SHIPPED}", "95 % interval", "thresholds"], rows
        ),
    ]


def _table(seeds: Mapping[str, Mapping[str, Any]]) -> ScoreTable:
    fields = sorted(next(iter(seeds.values()))["ap50"])
    values = np.array([[own["ap50"][field] for field in fields] for own in seeds.values()])
    return ScoreTable(tuple(int(seed) for seed in seeds), tuple(fields), values)


def _against(name: str, tables: Mapping[str, ScoreTable]) -> list[str]:
    if name == SHIPPED:
        return ["", ""]
    gain = gain_of(tables[name], tables[SHIPPED])
    return [points(gain.mean), between(gain.interval)]


def _cuts(seeds: Mapping[str, Mapping[str, float]]) -> str:
    return listed(f"{own['foreground']:g}/{own['seed']:g}/{own['smoothing']:g} px" for own in seeds.values())
