"""What the training of a teacher's adapter or of an encoder took: for its card, and in words."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from segdistill.engine import read_log
from segdistill.engine.duration import training_seconds
from segdistill.engine.peak import peak_memory, peak_on_gpu
from segdistill.report.wording import as_bytes, as_count, as_duration

COST = "cost"
"""Where it stands in a card's provenance; cards of older versions lack it."""


def cost_of(fit: Path, module: nn.Module, *, batch_size: int, device: str) -> dict[str, Any]:
    """Return what a training that is done took, as plain JSON values.

    Args:
        fit: Folder of its log.
        module: What was trained: its parameters that have a gradient are counted, those among them that are dropped
            afterwards.
        batch_size: Samples per optimiser step.
        device: It ran on this, such as "cpu" or "cuda:0".

    Returns:
        ``seconds`` of the steps, over all starts; ``parameters`` that were trained; ``peak_bytes`` that this process
        has held on the host since it began, a teacher among it, and ``gpu_peak_bytes``; null where that is not known.
    """
    return {
        "seconds": training_seconds(read_log(fit), batch_size=batch_size),
        "parameters": sum(each.numel() for each in module.parameters() if each.requires_grad),
        "peak_bytes": peak_memory(),
        "gpu_peak_bytes": peak_on_gpu(device),
    }


def cost_in_words(provenance: Mapping[str, Any]) -> str | None:
    """Return what a training took, as a sentence; None where its card does not say.

    >>> cost_in_words({"cost": {"seconds": 90.0, "parameters": 5, "peak_bytes": 2_000_000_000, "gpu_peak_bytes": None}})
    'Trained 5 parameters in 1 min 30 s; memory held at most: 2.0 GB.'
    >>> cost_in_words({}) is None
    True
    """
    cost = provenance.get(COST)
    if cost is None:
        return None
    passed = "" if cost["seconds"] is None else f" in {as_duration(cost['seconds'])}"
    held = ", ".join(_held(cost))
    memory = f"; memory held at most: {held}" if held else ""
    return f"Trained {as_count(cost['parameters'], 'parameter')}{passed}{memory}."


def _held(cost: Mapping[str, Any]) -> Iterator[str]:
    if cost["peak_bytes"] is not None:
        yield as_bytes(cost["peak_bytes"])
    if cost["gpu_peak_bytes"] is not None:
        yield f"{as_bytes(cost['gpu_peak_bytes'])} of the GPU"
