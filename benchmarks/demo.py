"""What `make demo` takes once everything is installed: time, and the memory of all its processes together.

Wanted on two cores: 5 minutes and 4 GB. Memory is looked at once a second; what processes share counts once where the
system tells it.
"""

import argparse
import contextlib
import subprocess
import sys
import time
from pathlib import Path

import psutil

from common import keep

WANTED = {"seconds": 300, "gigabytes": 4}


def held(process: psutil.Process) -> int:
    """Return the bytes that a process and those it began hold, shared ones divided among them."""
    total = 0
    for each in (process, *process.children(recursive=True)):
        with contextlib.suppress(psutil.Error):  # it has just ended
            full = each.memory_full_info()
            total += getattr(full, "pss", full.uss)
    return total


def main() -> None:
    """Measure and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for the demo, which must not be there")
    given = parser.parse_args()
    if given.out.exists():
        sys.exit(f"{given.out} is there already: what it holds would not be done again. Name a new folder.")
    began, peak = time.perf_counter(), 0
    with psutil.Popen([sys.executable, "-m", "segdistill", "demo", "--out", str(given.out)]) as process:
        while True:
            with contextlib.suppress(psutil.Error):
                peak = max(peak, held(process))
            try:
                status = process.wait(timeout=1)
                break
            except (psutil.TimeoutExpired, subprocess.TimeoutExpired):
                continue
    if status:
        sys.exit(status)
    seconds = time.perf_counter() - began
    keep(
        "demo",
        {
            "seconds": round(seconds, 1),
            "peak of all processes, bytes": peak,
            "wanted": WANTED,
            "ratio to the wanted time": round(seconds / WANTED["seconds"], 2),
        },
    )


if __name__ == "__main__":
    main()
