"""`segdistill simulate`."""

from pathlib import Path

from segdistill.cli.app import say


def simulate(out: Path, *, count: int = 20, seed: int = 0) -> None:
    """Write simulated multiplexed tissue with its labels.

    Args:
        out: Folder for images/ and labels/. New or empty.
        count: Number of fields.
        seed: Equal seeds give equal files.
    """
    from segdistill.data.case import numbered
    from segdistill.data.simulate import TissueSettings, write_tissue

    write_tissue(out, count=count, seed=seed, settings=TissueSettings())
    say(f"{numbered(count, 'field')} in {out}")
