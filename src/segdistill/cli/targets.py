"""`segdistill targets`."""

import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from segdistill.cli.app import say
from segdistill.cli.teams import asked_for
from segdistill.settings import Targets

if TYPE_CHECKING:
    from segdistill.study.targets_job import Stored
    from segdistill.targets import Verification


def targets(*, config: Annotated[Targets, Parameter(name="*")]) -> int:
    """Run a teacher once and store what it says of every image: its maps, or with --tokens its features.

    Says first what it will take. The same command goes on where an interrupted one stopped, and makes
    again what is damaged; `distill --targets` uses the store, and `agglomerate --targets` one of features.
    The exit status is 1 if the teacher failed on some images, or if --verify finds anything wrong.
    """
    from segdistill import study

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a scheduler's request ends like Ctrl-C, tidily
    if config.verify:
        found = study.check_targets(config, notice=say)
        print(*_of_check(found, config), sep="\n")
        return int(not found.sound)
    with asked_for(config) as team:
        stored = study.make_targets(config, team=team, notice=say)
    print(*_of_making(stored, config), sep="\n")
    return int(bool(stored.summary.failed))


def _of_making(stored: "Stored", config: Targets) -> Iterator[str]:
    summary = stored.summary
    again = f" ({summary.remade} of them again: damaged or outdated)" if summary.remade else ""
    yield f"Described now: {summary.made}{again}; there before: {summary.kept}; failed: {len(summary.failed)}."
    if config.tokens:
        yield (
            f"Stored as {config.tokens_as}: cosine to the teacher's own tokens {summary.mean_cosine:.6f} on average,"
            f" {summary.cosine:.6f} at the lowest."
        )
        yield from (f"  {spread}." for spread in stored.spreads)
        if not stored.spreads:
            yield "  Mean and covariance are added by the same command without --shard."
    else:
        yield f"Storing changed no probability by more than {summary.error:.2g}."
    if summary.labels_read:
        yield f"The teacher was told the labels of {summary.labels_read} images: it is an oracle."
    yield from (f"  {failure.case}: {failure.reason}" for failure in summary.failed)
    yield f"Targets: {stored.folder}"


def _of_check(found: "Verification", config: Targets) -> Iterator[str]:
    yield f"{found.records} records, {len(found.damaged)} damaged."
    yield (
        f"{found.recomputed} made again, {len(found.differing)} differ;"
        f" largest difference of {'a cosine to 1' if config.tokens else 'a probability'} {found.largest:.2g}."
    )
    yield from (f"  {case}: differs by {difference:.2g}" for case, difference in found.differing)
    if found.damaged:
        yield "Run the same command without --verify: it makes again what is damaged."
