"""What the benchmarks share: the machine by name, and results kept as JSON."""

import platform
import time
from pathlib import Path
from typing import Any

import torch

from segdistill import __version__
from segdistill.engine import Foreseeing, Problem
from segdistill.engine.machine import processor
from segdistill.files import write_json

RESULTS = Path(__file__).parent / "results"


def keep(name: str, values: dict[str, Any]) -> None:
    """Print a benchmark's values and keep them beside those of earlier days."""
    machine = {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "segdistill": __version__,
    }
    for key, value in values.items():
        print(f"{key}: {value}")
    write_json(RESULTS / f"{name}.json", {"machine": machine, **values})


def step(side: Problem, optimiser: torch.optim.Optimizer, number: int) -> float:
    """Take one whole step on the CPU, reading and augmenting included; return its seconds."""
    began = time.perf_counter()
    batch = side.collate(side.batch(number, 0, 1), number, torch.device("cpu"))
    totals = side.weights(batch)
    if isinstance(side, Foreseeing):
        with torch.no_grad():
            seen = side.terms(side.module, batch, totals) if side.needs_terms else None
        side.foresee(number, totals, seen)
    loss = side.combine(side.module, side.terms(side.module, batch, totals), 1.0)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()
    return time.perf_counter() - began
