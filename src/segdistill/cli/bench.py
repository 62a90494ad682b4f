"""`segdistill bench`."""

from typing import Annotated

from cyclopts import Parameter

from segdistill.cli.app import say
from segdistill.cli.tables import show
from segdistill.settings import Bench


def bench(config: Annotated[Bench, Parameter(name="*")]) -> int:
    """Time a student on this machine, by everything that can run it.

    An image of noise is segmented in windows, as `predict` does it, several times; probability maps are computed and
    nothing is read or written. The exit status is 1 if something could not run.
    """
    from segdistill.export import bench as run

    found = run(config, notice=say)
    facts = found.facts
    columns = ("backend", "precision", "threads", "ms/Mpx, least", "median", "Mpx/s", "peak memory, MB")
    rows = [
        (
            one.backend,
            one.precision,
            str(one.threads),
            f"{one.ms_per_megapixel:.0f}",
            f"{one.median_ms_per_megapixel:.0f}",
            f"{one.megapixels_per_second:.2f}",
            "-" if one.peak_megabytes is None else f"{one.peak_megabytes:.0f}",
        )
        for one in found.timed
    ]
    height, width = facts["image"]
    title = f"{facts['student']} on {facts['machine']['processor']}, {facts['machine']['cores']} cores"
    show(title, columns, rows, numbers=columns[2:])
    print(
        f"{facts['parameters']:,} parameters, {facts['gigamacs_per_megapixel']:.1f} GMAC per Mpx;"
        f" {height} × {width} px in windows of {facts['tile']} px with a halo of {facts['halo']} px,"
        f" {facts['repeats']} times."
    )
    for name, reason in found.failed.items():
        print(f"{name} did not run: {reason}")
    if config.out is not None:
        print(f"The same as JSON: {config.out}")
    return int(bool(found.failed))
