"""What the machine counts while a student trains: processor time always, energy where it can be read."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

import torch

from segdistill.engine.ranks import layout

POWERCAP = Path("/sys/class/powercap")
"""Where Linux shows the energy counters of processors (RAPL); most systems let only the administrator read them."""

EVERY = 10.0
"""Seconds between two readings: a counter begins again after some minutes, and a GPU's power moves."""

_PATIENCE = 5.0
"""Seconds that ``nvidia-smi`` may take to answer."""


@dataclass
class Metered:
    """What was counted; whole once the time that was metered is over."""

    processor_seconds: float = 0.0
    """That this process kept cores busy, all cores together."""

    package_joules: float | None = None
    """That the processors drew, whatever else they did meanwhile; None: their counters cannot be read."""

    gpu_joules: float | None = None
    """That the GPU's board drew, from its power every few seconds; None: none was used, or it does not tell."""

    beside: int = 0
    """How many others trained on this machine meanwhile, each metered by itself."""

    processes: int = field(default_factory=lambda: layout(os.environ).world)
    """How many worked together, of which this is the one that was metered."""

    def facts(self) -> dict[str, float | None]:
        """Return it as plain JSON values."""
        return dict(vars(self))


@dataclass
class Package:
    """The energy counter of one processor."""

    folder: Path
    """Of the counter."""

    last: int | None = field(init=False, default=None)
    """At the last reading, microjoules."""

    def joules(self) -> float | None:
        """Return what was drawn since the last reading, 0 at the first; None where it cannot be read.

        The counter begins again at its greatest value.
        """
        try:
            now = int((self.folder / "energy_uj").read_text())
            greatest = int((self.folder / "max_energy_range_uj").read_text())
        except (OSError, ValueError):
            return None
        before, self.last = self.last, now
        return 0.0 if before is None else (now - before if now >= before else now + greatest - before) / 1e6


@dataclass
class Board:
    """A GPU whose power ``nvidia-smi`` tells."""

    identity: str
    """Of the GPU, as ``nvidia-smi`` calls it."""

    watch: Callable[[], float] = time.monotonic
    """Seconds."""

    last: float | None = field(init=False, default=None)
    """When it was read last."""

    def joules(self) -> float | None:
        """Return what was drawn since the last reading at the power of now, 0 at the first; None: it does not tell."""
        command = ["nvidia-smi", f"--id={self.identity}", "--query-gpu=power.draw", "--format=csv,noheader,nounits"]
        try:
            told = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=True).stdout
            watts = float(told.strip())
        except (OSError, subprocess.SubprocessError, ValueError):
            return None
        now = self.watch()
        before, self.last = self.last, now
        return 0.0 if before is None else watts * (now - before)


Counter = Package | Board


@contextmanager
def metered(device: str, *, beside: int = 0, powercap: Path = POWERCAP, every: float = EVERY) -> Iterator[Metered]:
    """Count what is drawn within the block.

    Nothing that cannot be read is an error: it stays None, also where it could be read at first only.

    Args:
        device: On which the network trains, such as "cpu" or "cuda:0".
        beside: How many others train on this machine meanwhile. Where there are any, no counter of the machine is
            read: it would count theirs too.
        powercap: Folder of the energy counters.
        every: Seconds between two readings.
    """
    found = Metered(beside=beside)
    sums = {
        "package_joules": _Sum([] if beside else packages(powercap)),
        "gpu_joules": _Sum([] if beside else boards(device)),
    }
    began, stop = _busy(), Event()
    counted = [each for each in sums.values() if each.counters]
    reader = Thread(target=_go_on, args=(counted, every, stop), daemon=True)
    for each in counted:
        each.read()
    if counted:
        reader.start()
    try:
        yield found
    finally:
        stop.set()
        if counted:
            reader.join()
        found.processor_seconds = _busy() - began
        for name, each in sums.items():
            setattr(found, name, each.joules)


def packages(powercap: Path) -> list[Counter]:
    """Return the counters of whole processors that can be read; of their parts, which are in them, none."""
    if not powercap.is_dir():
        return []
    return [Package(zone) for zone in sorted(powercap.glob("intel-rapl:*")) if _is_package(zone)]


def boards(device: str) -> list[Counter]:
    """Return the GPU that a network trains on, where ``nvidia-smi`` is there to tell its power."""
    if not device.startswith("cuda") or shutil.which("nvidia-smi") is None:
        return []
    identity = str(getattr(torch.cuda.get_device_properties(torch.device(device)), "uuid", ""))
    return [Board(identity if identity.startswith("GPU-") else f"GPU-{identity}")] if identity else []


def _is_package(zone: Path) -> bool:
    try:
        return (zone / "name").read_text().startswith("package") and bool((zone / "energy_uj").read_text())
    except OSError:
        return False


class _Sum:
    """The sum over counters; None as soon as one of them cannot be read, or where there is none."""

    def __init__(self, counters: list[Counter]) -> None:
        self.counters = counters
        self.joules: float | None = 0.0 if counters else None

    def read(self) -> None:
        for counter in self.counters:
            drawn = counter.joules()
            self.joules = None if drawn is None or self.joules is None else self.joules + drawn


def _go_on(sums: list[_Sum], every: float, stop: Event) -> None:
    """Read counters again every few seconds, and at the end."""
    last = False
    while not last:
        last = stop.wait(every)
        for each in sums:
            each.read()


def _busy() -> float:
    """Return the processor time of this process and of those that it has seen end, seconds."""
    return sum(os.times()[:4])
