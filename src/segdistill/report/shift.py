"""Students on other data sets, on which nothing was trained, tuned or chosen: a table beside their own test fields."""

from collections.abc import Sequence
from dataclasses import dataclass

from segdistill.report.tables import Cell, Download, csv_download


@dataclass(frozen=True, kw_only=True)
class ShiftRow:
    """One arm on one structure of another data set."""

    data: str
    """Name of the data set."""

    structure: str
    """What is scored: only what that data set labels."""

    metric: str
    """Name of the score."""

    arm: str
    """The arm's name."""

    role: str
    """What the arm is for: one of ``Role``."""

    there: float
    """Mean over the fields of that data set, fraction."""

    there_sd: float | None
    """Standard deviation over seeds, fraction; None: one seed."""

    here: float | None
    """Mean over the run's own test fields, fraction; None: not scored there."""

    here_sd: float | None
    """Standard deviation over seeds, fraction; None: one seed, or not scored there."""

    fields: int
    """Of that data set: its units."""

    gain: float | None
    """Over the arm's baseline, there; None: it has none."""

    gain_ends: tuple[float, float] | None
    """95 % interval of the gain; None: one field."""


def shift_csv(rows: Sequence[ShiftRow]) -> Download:
    """Return the table as a file."""
    header = ["data", "structure", "metric", "arm", "role", "score there", "sd there", "score here", "sd here"]
    header += ["fields there", "gain there", "gain from", "gain to"]
    lines: list[list[Cell]] = []
    for row in rows:
        ends = (None, None) if row.gain_ends is None else row.gain_ends
        scores = (row.there, row.there_sd, row.here, row.here_sd)
        lines.append([row.data, row.structure, row.metric, row.arm, row.role, *scores, row.fields, row.gain, *ends])
    return csv_download("shift", header, lines)
