"""How long `segdistill --help` takes, beside Python alone. Wanted: under 0.3 s; to import prediction, under 0.5 s.

Each is timed ten times, in turn, as a new process, its files in the system's cache.
"""

import os
import statistics
import subprocess
import sys
import time

from common import keep

REPEATS = 10
HELP, PYTHON, PREDICTION = "segdistill --help", "python -c pass", "import of what predicts by an exported model"
COMMANDS = {
    HELP: [sys.executable, "-c", "from segdistill.cli import main; main(['--help'])"],
    PREDICTION: [sys.executable, "-c", "import segdistill.inference.api, segdistill.inference.folder"],
    PYTHON: [sys.executable, "-c", "pass"],
}


def seconds(command: list[str]) -> float:
    """Return the wall time of a new process."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    """Measure and keep."""
    for command in COMMANDS.values():
        seconds(command)  # files come into the cache
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(REPEATS):
        for name, command in COMMANDS.items():
            times[name].append(seconds(command))
    found = {
        f"{name}, {what} of {REPEATS}, s": round(of(values), 3)
        for name, values in times.items()
        for what, of in (("minimum", min), ("median", statistics.median))
    }
    found["ratio"] = round(found[f"{HELP}, median of {REPEATS}, s"] / found[f"{PYTHON}, median of {REPEATS}, s"], 1)
    load = {"load of the machine": round(os.getloadavg()[0], 1)} if hasattr(os, "getloadavg") else {}
    keep("start", found | load)


if __name__ == "__main__":
    main()
