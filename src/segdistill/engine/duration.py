"""How long a run has trained, from its log."""

from collections.abc import Iterable, Mapping
from typing import Any


def training_seconds(lines: Iterable[Mapping[str, Any]], *, batch_size: int) -> float | None:
    """Return how long the steps of a run took, over all its starts; what was lost by a kill is not in it.

    Args:
        lines: Of its log, in order, each with the pace since the one before.
        batch_size: Samples per optimiser step, over all processes.

    Returns:
        Seconds, waiting for data among them, validation not; None: there is no line that tells a pace.

    >>> training_seconds([{"step": 10, "images_per_s": 8.0}, {"step": 20, "images_per_s": 4.0}], batch_size=4)
    15.0
    >>> training_seconds([], batch_size=4) is None
    True
    """
    passed, before = None, 0
    for line in lines:
        if line.get("images_per_s"):
            passed = (passed or 0.0) + (line["step"] - before) * batch_size / line["images_per_s"]
            before = line["step"]
    return passed
