"""The one training loop, on Lightning Fabric: devices, precision, accumulation, resuming, stopping.

``train`` runs a ``Problem`` by a ``Plan``. A problem reduces its losses with ``weighted_mean`` and
chooses its samples with ``batch_indices`` and ``batch_slots``; then neither micro-batches nor
processes nor interruptions change what is learnt.
"""

from typing import TYPE_CHECKING

from segdistill.plugins import lazy_exports

if TYPE_CHECKING:
    from segdistill.engine.checkpoint import DamagedRun
    from segdistill.engine.crew import check_at_once, side_by_side
    from segdistill.engine.devices import select_device
    from segdistill.engine.finished import settle
    from segdistill.engine.foresight import Foreseeing
    from segdistill.engine.leading import lead
    from segdistill.engine.lock import held
    from segdistill.engine.log import read_log
    from segdistill.engine.loop import train
    from segdistill.engine.order import batch_indices, batch_slots
    from segdistill.engine.outcome import Outcome
    from segdistill.engine.plan import Plan
    from segdistill.engine.problem import Problem
    from segdistill.engine.reducer import weighted_mean
    from segdistill.engine.weights import load_values, trained_values

__all__ = [
    "DamagedRun",
    "Foreseeing",
    "Outcome",
    "Plan",
    "Problem",
    "batch_indices",
    "batch_slots",
    "check_at_once",
    "held",
    "lead",
    "load_values",
    "read_log",
    "select_device",
    "settle",
    "side_by_side",
    "train",
    "trained_values",
    "weighted_mean",
]

__getattr__ = lazy_exports(
    __name__,
    {
        "DamagedRun": "checkpoint",
        "Foreseeing": "foresight",
        "Outcome": "outcome",
        "Plan": "plan",
        "Problem": "problem",
        "batch_indices": "order",
        "batch_slots": "order",
        "check_at_once": "crew",
        "held": "lock",
        "lead": "leading",
        "load_values": "weights",
        "read_log": "log",
        "select_device": "devices",
        "settle": "finished",
        "side_by_side": "crew",
        "train": "loop",
        "trained_values": "weights",
        "weighted_mean": "reducer",
    },
)
