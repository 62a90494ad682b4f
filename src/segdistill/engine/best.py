"""The best weights so far: the averaged weights of the step with the highest score.

Step and score are kept in the file itself, so that they cannot disagree with the weights.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from segdistill.files import whole_file

NAME = "best.safetensors"


@dataclass(frozen=True, slots=True)
class Best:
    """When the best weights were seen, and how good they were."""

    step: int
    """Optimiser steps that were done."""

    score: float | None
    """What validation said, higher is better; None where nothing was validated."""


def write_best(folder: Path, values: Mapping[str, Tensor], best: Best) -> None:
    """Write weights with their step and score, whole or not at all.

    Raises:
        EnvironmentFault: There was no room; the best weights so far are still there.
    """
    note = {"step": str(best.step), "score": "" if best.score is None else repr(best.score)}
    data = save({name: value.contiguous() for name, value in values.items()}, note)
    with whole_file(folder / NAME) as partial:
        partial.write_bytes(data)


def read_best(folder: Path, *, notice: Callable[[str], None]) -> Best | None:
    """Return step and score of the best weights, or None where there are none that can be read.

    Args:
        folder: The run's.
        notice: Told where there is a file that cannot be read.
    """
    path = folder / NAME
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            note = file.metadata() or {}
            return Best(int(note["step"]), float(note["score"]) if note["score"] else None)
    except (SafetensorError, KeyError, ValueError):
        notice(f"{path} cannot be read: it is left out, and the next best weights take its place.")
        return None


def read_best_values(folder: Path) -> dict[str, Tensor]:
    """Return the best weights, on the CPU."""
    return load_file(folder / NAME)
