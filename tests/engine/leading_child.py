"""What each of two processes of test_leading does: the first leads, the other has no work of its own."""

import os
import signal
import sys
from pathlib import Path

import torch
from engine_child import Uneven, uneven_plan

from segdistill.engine import lead, train
from segdistill.errors import ConfigError, SegdistillError


def work(folder: Path) -> int:
    """Train twice, between two refusals, and leave a note."""
    train(Uneven(""), folder / "first", uneven_plan(), notice=print)
    try:
        train(Uneven(""), folder / "first", uneven_plan(seed=99), notice=print)
    except ConfigError as error:
        (folder / "refused").write_text(str(error))
    train(Uneven("memory"), folder / "second", uneven_plan(), notice=print)
    return 7


def die(folder: Path) -> int:
    """Train, and die as a process dies for which memory ran out."""
    train(Uneven(""), folder / "before", uneven_plan(), notice=print)
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


if __name__ == "__main__":
    torch.set_num_threads(1)
    what = {"work": work, "die": die}[sys.argv[1]]
    try:
        sys.exit(lead(lambda: what(Path(sys.argv[2])), notice=print))
    except SegdistillError as error:
        sys.stdout.write(f"{error}\n")
        sys.exit(error.status)
