"""`segdistill export`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from segdistill.cli.app import say
from segdistill.cli.tables import show
from segdistill.settings import Export

if TYPE_CHECKING:
    from segdistill.export.job import Exported


def export(config: Annotated[Export, Parameter(name="*")]) -> int:
    """Write a student for other runtimes, and prove each equal on real images.

    Normalisation is inside: the graph takes pixels as they are, with the numbers that become 0 and 1, and gives
    probabilities, at any size. Each format is run again on real images and compared with the student; one that loses
    more than half a point of Dice or AP is not kept, and the exit status is 1. `predict` takes the folder as a model,
    without PyTorch.
    """
    from segdistill.export import export as run

    done = run(config, notice=say)
    _print_formats(done)
    for reason in done.failed.values():
        say(reason)
    say(f"{len(done.card.formats)} formats in {config.out}; {len(done.failed)} not kept.")
    return int(bool(done.failed))


def _print_formats(done: "Exported") -> None:
    rows = []
    for name, kind in done.card.formats.items():
        equal = kind.equality
        rows.append(
            (
                name,
                kind.opened,
                f"{equal.difference:.1e}",
                _least(equal.dice, equal.foreground),
                _least(equal.average_precision, equal.foreground),
                f"{equal.images} images, {equal.megapixels:.1f} Mpx",
                kind.made_by,
            )
        )
    columns = ("format", "file", "largest difference", "Dice", "AP@0.5", "compared on", "made by")
    show("Exported, against the student", columns, rows, numbers=columns[2:5])


def _least(scores: Mapping[str, float], foreground: Mapping[str, float]) -> str:
    """Return the least score of the structures that the student found at all; where it found none, scores say nothing.

    >>> _least({"cell": 0.98, "nucleus": 1.0}, {"cell": 0.3, "nucleus": 0.0}), _least({"cell": 1.0}, {"cell": 0.0})
    ('0.9800', '-')
    """
    found = [score for name, score in scores.items() if foreground[name]]
    return f"{min(found):.4f}" if found else "-"
