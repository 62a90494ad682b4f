"""`segdistill targets`."""

import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from segdistill.cli.app import say
from segdistill.settings import Targets

if TYPE_CHECKING:
    from segdistill.study.targets_job import Stored
    from segdistill.targets import Verification


def targets(*, config: Annotated[Targets, Parameter(name="*")]) -> int:
    """Run a teacher once and store what it says of every image.

    Says first what it will take. The same command goes on where an interrupted one stopped, and makes
    again what is damaged; `distill --targets` uses the store. The exit status is 1 if the teacher
    failed on some images, or if --verify finds anything wrong.
    """
    from segdistill import study

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a scheduler's request ends like Ctrl-C, tidily
    if config.verify:
        found = study.check_targets(config, notice=say)
        print(*_of_check(found), sep="\n")
        return int(not found.sound)
    stored = study.make_targets(config, notice=say)
    print(*_of_making(stored), sep="\n")
    return int(bool(stored.summary.failed))


def _of_making(stored: "Stored") -> Iterator[str]:
    summary = stored.summary
    again = f" ({summary.remade} of them again: damaged or outdated)" if summary.remade else ""
    yield f"Described now: {summary.made}{again}; there before: {summary.kept}; failed: {len(summary.failed)}."
    yield f"Storing changed no probability by more than {summary.error:.2g}."
    if summary.labels_read:
        yield f"The teacher was told the labels of {summary.labels_read} images: it is an oracle."
    yield from (f"  {failure.case}: {failure.reason}" for failure in summary.failed)
    yield f"Targets: {stored.folder}"


def _of_check(found: "Verification") -> Iterator[str]:
    yield f"{found.records} records, {len(found.damaged)} damaged."
    yield (
        f"{found.recomputed} made again, {len(found.differing)} differ;"
        f" largest difference of a probability {found.largest:.2g}."
    )
    yield from (f"  {case}: differs by {difference:.2g}" for case, difference in found.differing)
    if found.damaged:
        yield "Run the same command without --verify: it makes again what is damaged."
