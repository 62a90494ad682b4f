"""What the benchmarks share: the machine by name, and results kept as JSON."""

import platform
from pathlib import Path
from typing import Any

import torch

from segdistill import __version__
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
