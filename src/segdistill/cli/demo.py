"""`segdistill demo`."""

import os
from pathlib import Path

from segdistill.cli.app import say

MOST = 4
"""Students trained at once, at most: each takes about a gigabyte."""


def usual_at_once() -> int:
    """Return how many students the demo trains at once where nobody says."""
    from segdistill.engine.ranks import layout

    return min(os.cpu_count() or 1, MOST) if layout(os.environ).world == 1 else 1


def demo(*, out: Path = Path("runs/demo"), at_once: int | None = None) -> None:
    """Show the whole story offline: a teacher that sees two channels teaches a student that sees one.

    Args:
        out: Folder for the simulated images, the students and the report.
        at_once: How many students are trained side by side. None: one for each core, four at most.
    """
    from segdistill import study

    at_once = usual_at_once() if at_once is None else at_once
    print(study.headline(study.demo(out, at_once=at_once, notice=say)))
