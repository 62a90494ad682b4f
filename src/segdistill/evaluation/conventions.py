"""The written rule for empty, missing and unusable input: one table, used by the code and shown to people."""

from dataclasses import dataclass
from typing import Literal

Empty = Literal["", "both", "label", "prediction", "missing"]
"""What was empty in a comparison: nothing, both, only the label, only the prediction; or there was no prediction."""

BOTH_EMPTY = 1.0
"""Score where neither label nor prediction has anything, and that is right."""

WORST = 0.0
"""Score where one of them has something and the other nothing, and of a prediction that is not there."""


@dataclass(frozen=True)
class Convention:
    """One line of the table."""

    situation: str
    """What was met."""

    rule: str
    """What is done."""

    shown: str
    """How it is told apart in the output."""


CONVENTIONS: tuple[Convention, ...] = (
    Convention(
        "label and prediction are both empty",
        f"every score is {BOTH_EMPTY:g}",
        "`empty` says both; such images are counted beside every mean",
    ),
    Convention(
        "the label is empty, the prediction is not",
        f"every score is {WORST:g}: false objects on an empty image are errors",
        "`empty` says label",
    ),
    Convention(
        "the prediction is empty, the label is not",
        f"every score is {WORST:g}, precision too",
        "`empty` says prediction",
    ),
    Convention(
        "there is no prediction for a labelled image",
        f"every score is {WORST:g}, even where the label is empty; it never drops out of a mean",
        "`empty` says missing",
    ),
    Convention(
        "a structure is not labelled in an image",
        "it is not scored there",
        "no row",
    ),
    Convention(
        "some pixels do not count (ignore region, outside the field of view)",
        "they are left out of label and prediction alike",
        "-",
    ),
    Convention(
        "no pixel counts",
        "refused: such an image says nothing and belongs out of the test set",
        "an error",
    ),
    Convention(
        "more than half of an object's pixels do not count",
        "the object is left out, and with it a partner that matches it on the pixels that do count",
        "-",
    ),
    Convention(
        "label and prediction differ in shape",
        "refused; never flattened, cropped or resized",
        "an error with both shapes",
    ),
    Convention(
        "masks or ids are floating-point numbers, or ids are negative",
        "refused: probabilities need a threshold first",
        "an error",
    ),
    Convention(
        "a score is not finite, or a field has no score under one seed",
        "refused: no mean is taken of what happens to be there",
        "an error naming fields and seeds",
    ),
    Convention(
        "an overlap (IoU) equals the threshold",
        "no match: it must be above, which alone makes matches unique at 0.5",
        "-",
    ),
)


def conventions_table() -> str:
    """Return the conventions as a Markdown table.

    >>> print(conventions_table().splitlines()[0])
    | situation | rule | shown as |
    """
    lines = ["| situation | rule | shown as |", "|---|---|---|"]
    lines += [f"| {each.situation} | {each.rule} | {each.shown} |" for each in CONVENTIONS]
    return "\n".join(lines) + "\n"


def empty_side(prediction: int, label: int) -> Empty:
    """Return which side is empty.

    Args:
        prediction: How many pixels or objects were predicted.
        label: How many are labelled.

    >>> empty_side(0, 0), empty_side(0, 3), empty_side(2, 3)
    ('both', 'prediction', '')
    """
    if prediction and label:
        return ""
    if not prediction and not label:
        return "both"
    return "label" if prediction else "prediction"


def share(part: float | int, whole: int, empty: Empty) -> float:
    """Return part / whole, or what the conventions say where a side is empty."""
    if empty:
        return BOTH_EMPTY if empty == "both" else WORST
    return part / whole
