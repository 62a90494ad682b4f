"""Benchmarks: what was measured, both sides of it, and whether it is what was wanted."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from results_page.words import table
from segdistill.report.wording import NONE, as_number


@dataclass(frozen=True)
class Claim:
    """One wanted limit and where a result keeps what it limits."""

    words: str
    """What is measured."""

    sides: tuple[str, ...]
    """Beginnings of the keys of the sides that are compared; the first found of each counts."""

    measured: str
    """Beginning of the key of what is limited."""

    wanted: float
    """At most; a result's own ``wanted`` goes before it."""


CLAIMS = {
    "training_step": Claim(
        "a training step from stored targets, over the step without a teacher",
        ("seconds_without_teacher", "seconds_with_stored_targets"),
        "ratio",
        1.10,
    ),
    "data_wait": Claim("share of the time in which training waits for data", ("images_per_s",), "data_wait", 0.05),
    "start": Claim(
        "`segdistill --help`, beside Python alone, seconds",
        ("python -c pass, median", "segdistill --help, median"),
        "segdistill --help, median",
        0.3,
    ),
    "large_image": Claim(
        "peak memory of predicting a large tiled TIFF, beside holding it whole, bytes",
        ("pixels, maps and mask in memory whole", "peak of the process"),
        "peak of the process",
        1.5e9,
    ),
    "objects": Claim(
        "scoring 500,000 objects, and StarDist 8,000, seconds",
        ("StarDist, 8,000 objects, s", "segdistill, 500,000 objects, s"),
        "segdistill, 500,000 objects, s",
        10.0,
    ),
    "demo": Claim("`make demo` once everything is installed, seconds", ("seconds",), "seconds", 300.0),
}
"""Result to what is wanted of it; the limits are those that the project set itself."""


def read_benchmarks(folder: Path) -> dict[str, dict[str, Any]]:
    """Return every kept benchmark by name; none where the folder is missing."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}


def benchmark_sections(benchmarks: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the table of claims, what was not run, and everything that each benchmark kept."""
    rows = [_claim_row(name, claim, benchmarks[name]) for name, claim in CLAIMS.items() if name in benchmarks]
    header = ["benchmark", "what", "sides", "ratio of the sides", "measured", "wanted", "holds", "machine"]
    missing = [f"`benchmarks/{name}.py`" for name in CLAIMS if name not in benchmarks]
    parts = [table(header, rows)] if rows else []
    if missing:
        parts.append(f"Not run yet: {', '.join(missing)}.")
    for name, content in benchmarks.items():
        facts = [[key, _shown(value)] for key, value in content.items() if key != "machine"]
        parts += [f"**{name}** ({_machine(content)})", table(["what", "value"], facts)]
    return parts


def holds(claim: Claim, content: Mapping[str, Any]) -> bool | None:
    """Return whether what was measured is within what was wanted; None where it was not kept."""
    measured = _measured(claim, content)
    return None if measured is None else measured <= _wanted(claim, content)


def _claim_row(name: str, claim: Claim, content: Mapping[str, Any]) -> list[str]:
    sides = [found for side in claim.sides if (found := _found(side, content)) is not None]
    ratio = sides[1][1] / sides[0][1] if len(sides) == 2 and sides[0][1] else None
    answer = {True: "yes", False: "**no**", None: "not kept"}[holds(claim, content)]
    return [
        name,
        claim.words,
        "; ".join(f"{key} {as_number(value)}" for key, value in sides) or NONE,
        as_number(ratio),
        as_number(_measured(claim, content)),
        f"≤ {as_number(_wanted(claim, content))}",
        answer,
        _machine(content),
    ]


def _measured(claim: Claim, content: Mapping[str, Any]) -> float | None:
    found = _found(claim.measured, content)
    return None if found is None else found[1]


def _wanted(claim: Claim, content: Mapping[str, Any]) -> float:
    found = _found("wanted", content)
    return claim.wanted if found is None else found[1]


def _found(beginning: str, content: Mapping[str, Any]) -> tuple[str, float] | None:
    """Return the first number whose key begins so."""
    numbers = ((key, value) for key, value in content.items() if isinstance(value, int | float))
    return next(((key, float(value)) for key, value in numbers if key.startswith(beginning)), None)


def _machine(content: Mapping[str, Any]) -> str:
    machine = content.get("machine", {})
    threads = f", {machine['threads']} threads" if "threads" in machine else ""
    return f"{machine.get('processor', 'unknown')} ({machine.get('system', 'unknown')}{threads})"


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
