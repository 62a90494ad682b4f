"""What computes, in words; no torch."""

import os
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from segdistill import __version__
from segdistill.engine.ranks import layout


def machine() -> dict[str, str]:
    """Return what kind of machine this is, and how many processes work together; nothing that names it or its owner."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "cores": str(os.cpu_count()),
        "processes": str(layout(os.environ).world),
    }


def processor() -> str:
    """Return the processor's name where the system tells it."""
    info = Path("/proc/cpuinfo")
    if sys.platform == "linux" and info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def versions(packages: Sequence[str]) -> dict[str, str]:
    """Return the versions of this package, of Python, and of others.

    >>> sorted(versions(["numpy"]))
    ['Python', 'numpy', 'segdistill']
    """
    found = {"segdistill": __version__, "Python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found
