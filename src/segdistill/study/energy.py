"""What training drew from the socket: an estimate with its assumption, or what the machine measured, named as such."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import fsum
from pathlib import Path

from segdistill.report import Facts
from segdistill.report.wording import as_bytes, as_count, as_duration, as_number_range
from segdistill.study.arms import ArmRun

WATTS_PER_CORE = (3.0, 15.0)
"""That a busy core draws, least and most: the thermal design power of common processors over their cores.

Source: Lannelongue, Grealey, Inouye 2021, "Green Algorithms", doi:10.1002/advs.202100707, which computes with it in the
same way and takes 12 W where nothing is known of the processor.
"""

_JOULES_PER_WATT_HOUR = 3600.0


@dataclass(frozen=True)
class Energy:
    """What some runs drew."""

    low: float
    """Watt-hours, at least."""

    high: float
    """Watt-hours, at most; the same where all of it was measured."""

    runs: int
    """How many it is of."""

    processor_seconds: float
    """Processor time behind the estimated part; 0: all of it was measured."""

    package: bool
    """Whether any of it was measured by the processors' counters."""

    gpu: bool
    """Whether a GPU's share, measured, is in it."""

    gpu_unknown: int
    """Of how many runs a GPU's share is missing."""

    beside: int
    """How many runs were under way beside one, at most."""

    others: int
    """How many processes trained beside the one that was metered, at most."""


def energy_of(runs: Iterable[ArmRun]) -> Energy | None:
    """Return what runs drew while they trained; None where none of them kept what is needed.

    Where the processors' counters could be read, what they say stands for the processors; elsewhere it is
    processor time × ``WATTS_PER_CORE``. A GPU's share is what its board measured.
    """
    kept = [facts for run in runs if (facts := run.facts.get("energy")) is not None]
    if not kept:
        return None
    guessed = fsum(facts["processor_seconds"] for facts in kept if facts["package_joules"] is None)
    measured = fsum((facts["package_joules"] or 0.0) + (facts["gpu_joules"] or 0.0) for facts in kept)
    low, high = ((measured + guessed * watts) / _JOULES_PER_WATT_HOUR for watts in WATTS_PER_CORE)
    return Energy(
        low=low,
        high=high,
        runs=len(kept),
        processor_seconds=guessed,
        package=any(facts["package_joules"] is not None for facts in kept),
        gpu=any(facts["gpu_joules"] is not None for facts in kept),
        gpu_unknown=sum(facts["on_gpu"] and facts["gpu_joules"] is None for facts in kept),
        beside=max(facts.get("beside", 0) for facts in kept),
        others=max(facts.get("processes", 1) for facts in kept) - 1,
    )


def cost_facts(runs: Sequence[ArmRun], folder: Path, model: Path) -> Facts:
    """Return what the runs took: time, energy and room on the disk.

    Args:
        runs: Every arm and seed.
        folder: Of the runs.
        model: Folder of the student that was kept.
    """
    energy = energy_of(runs)
    values = {
        "training": f"{as_duration(fsum(run.facts['seconds'] for run in runs))} in {as_count(len(runs), 'run')}",
        energy_name(energy): in_words(energy),
    }
    if energy is not None and energy.beside:
        values["training"] += f" (their sum; {energy.beside + 1} were under way at once)"
    if energy is not None:
        values["rests on"] = basis(energy, len(runs))
    values["on the disk"] = f"{as_bytes(size_of(folder))} in all, {as_bytes(size_of(model))} the student"
    return Facts(title="Cost of training", values=values)


def energy_name(energy: Energy | None) -> str:
    """Return what the number is called: an estimate unless the machine measured all of it."""
    whole = energy is not None and not (energy.processor_seconds or energy.gpu_unknown or energy.others)
    return "energy, measured" if whole else "energy, estimate"


def in_words(energy: Energy | None) -> str:
    """Return the number, or why there is none."""
    if energy is None:
        return "not known: these runs did not keep their processor time"
    return f"{as_number_range((energy.low, energy.high))} Wh{', the GPU not in it' if energy.gpu_unknown else ''}"


def basis(energy: Energy, runs: int) -> str:
    """Return the formula, its assumption and what is not in it.

    Args:
        energy: Of the runs that kept what is needed.
        runs: All of them.
    """
    low, high = WATTS_PER_CORE
    parts = []
    if energy.processor_seconds:
        parts.append(
            f"{as_duration(energy.processor_seconds)} of processor time, all cores together, × {low:g} to {high:g} W"
            " assumed for a busy core (thermal design power of common processors over their cores)"
        )
    if energy.package:
        parts.append("the processors' own counters (RAPL), which count whatever else the machine did")
    if energy.gpu:
        parts.append("the GPU board's power, read every ten seconds by nvidia-smi")
    left = ["memory, disks, fans, losses of the power supply", "fitting of teachers and making of targets"]
    if energy.gpu_unknown:
        left.insert(0, f"the GPU in {as_count(energy.gpu_unknown, 'run')}, whose power nobody told")
    if energy.others:
        left.insert(0, f"what trained beside the first process ({energy.others} more)")
    if energy.runs < runs:
        left.append(f"{as_count(runs - energy.runs, 'run')} from before processor time was kept")
    return (
        f"{' + '.join(parts)}. Not in it: {'; '.join(left)}. A run that was interrupted counts from where it went on."
    )


def size_of(folder: Path) -> int:
    """Return how many bytes the files of a folder hold."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
