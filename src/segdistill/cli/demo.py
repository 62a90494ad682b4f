"""`segdistill demo`."""

import os
from pathlib import Path

from segdistill.cli.app import say

MOST = 4
"""Students trained at once, at most: each takes about a gigabyte."""


def demo(*, out: Path = Path("runs/demo"), at_once: int | None = None) -> None:
    """Show the whole story offline: a teacher that sees two channels teaches a student that sees one.

    Args:
        out: Folder for the simulated images, the students and the report.
        at_once: How many students are trained side by side. None: one for each core, four at most.
    """
    from segdistill import study
    from segdistill.engine.ranks import layout

    if at_once is None:
        at_once = min(os.cpu_count() or 1, MOST) if layout(os.environ).world == 1 else 1
    print(study.headline(study.demo(out, at_once=at_once, notice=say)))
