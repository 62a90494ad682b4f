"""What goes with every file of scores: what each score is, and what was done where something was empty or missing."""

from pathlib import Path

from segdistill.evaluation.conventions import conventions_table
from segdistill.evaluation.metrics import metrics_table
from segdistill.files import whole_file


def scores_document(*, unit: str, tolerance: float) -> str:
    """Return the scores and the conventions as Markdown.

    Args:
        unit: Of lengths, "px" or "µm".
        tolerance: How far apart contours may lie, in that unit.

    >>> scores_document(unit="px", tolerance=2.0).splitlines()[0]
    '# How masks are scored'
    """
    return (
        "# How masks are scored\n\n"
        "## Scores\n\n"
        f"Lengths are in {unit}; the tolerance of contours is {tolerance:g} {unit}."
        " Scores of objects are given where objects are told apart; all others are of the mask of all objects"
        " together. Contours are pixels of a mask beside a pixel that is not in it; distances are between their"
        " centres.\n\n"
        f"{metrics_table(unit=unit, tolerance=tolerance)}\n"
        "## Clips\n\n"
        "`temporal_consistency` tells how steady masks are from frame to frame, for each structure and clip: the mean,"
        " over steps from a frame to the next, of 1 minus the difference between the Dice of the two predictions and"
        " that of the two labels. What really moves is not held against a prediction; flicker, lag and standing still"
        " are. From 0 to 1, higher is better. It does not say that masks are right: read it beside Dice.\n\n"
        "## Conventions\n\n"
        f"{conventions_table()}"
    )


def conventions_path(scores: Path) -> Path:
    """Return the file that explains a file of scores and lies beside it.

    >>> conventions_path(Path("runs/scores.csv")).name
    'scores.conventions.md'
    """
    return scores.with_name(f"{scores.stem}.conventions.md")


def write_conventions(scores: Path, *, unit: str, tolerance: float) -> Path:
    """Write what explains a file of scores beside it, whole or not at all, and return where.

    Args:
        scores: The file of scores.
        unit: Of lengths, "px" or "µm".
        tolerance: How far apart contours may lie, in that unit.

    Raises:
        EnvironmentFault: The file cannot be written.
    """
    path = conventions_path(scores)
    with whole_file(path) as partial:
        partial.write_text(scores_document(unit=unit, tolerance=tolerance), encoding="utf-8")
    return path
