"""What a finished run leaves."""

from dataclasses import dataclass
from pathlib import Path

from segdistill.engine import best


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished run; equal whether it was interrupted, or is only read back."""

    folder: Path
    """Where the run lies."""

    steps: int
    """Optimiser steps that were done."""

    best_step: int
    """Steps that were done when the best weights were averaged."""

    best_score: float | None
    """Their score, higher is better; None where nothing was validated, and the last weights are the best."""

    @property
    def weights(self) -> Path:
        """The best averaged weights, as safetensors: every value of the problem's module that was trained."""
        return self.folder / best.NAME
