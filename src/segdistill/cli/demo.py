"""`segdistill demo`."""

from pathlib import Path

from segdistill.cli.app import say


def demo(*, out: Path = Path("runs/demo")) -> None:
    """Show the whole story offline: a teacher that sees two channels teaches a student that sees one.

    Args:
        out: Folder for the simulated images, the students and the report.
    """
    from segdistill import study

    print(study.headline(study.demo(out, notice=say)))
