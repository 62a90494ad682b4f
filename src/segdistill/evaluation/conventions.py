"""The written rule for empty, missing and unusable input: one table, used by the code and shown to people."""

from dataclasses import dataclass
from typing import Literal

Empty = Literal["", "both", "label", "prediction", "missing"]
"""What was empty in a comparison: nothing, both, only the label, only the prediction; or there was no prediction."""

BOTH_EMPTY = 1.0
"""Score, of those that rise with agreement, where neither label nor prediction has anything, and that is right."""

WORST = 0.0
"""The same where one of them has something and the other nothing, and of a prediction that is not there."""


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
        f"every score is its best: {BOTH_EMPTY:g} where higher is better, 0 where lower is, distances too",
        "`empty` says both; such images are counted beside every mean",
    ),
    Convention(
        "the label is empty, the prediction is not",
        f"every score is its worst: false objects on an empty image are errors. {WORST:g} where higher is better,"
        " 1 for shares where lower is, and for distances the diagonal of the field, in the same unit",
        "`empty` says label",
    ),
    Convention(
        "the prediction is empty, the label is not",
        "every score is its worst, as above, precision too",
        "`empty` says prediction",
    ),
    Convention(
        "there is no prediction for a labelled image",
        "every score is its worst, as above, even where the label is empty; it never drops out of a mean",
        "`empty` says missing",
    ),
    Convention(
        "a structure is not labelled in an image",
        "it is not scored there, and is in no macro mean of that image",
        "no row",
    ),
    Convention(
        "some pixels do not count (ignore region, outside the field of view)",
        "they are left out of label and prediction alike, as if the image had been cut there",
        "-",
    ),
    Convention(
        "both masks run into the edge of the image or of what counts",
        "it is no contour there, since neither goes on; where only one does, it is a contour of that one",
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
        "probabilities are not finite, or not from 0 to 1",
        "refused: logits need a sigmoid first",
        "an error with the range",
    ),
    Convention(
        "probability maps are given, but none that can be used of some labelled image",
        "its calibration error is its worst, 1; the table of all pixels together has none of its pixels",
        "`empty` says missing, and it is listed",
    ),
    Convention(
        "no pixel has a probability in some bin of the reliability table",
        "the bin is shown and weighs nothing in the calibration error",
        "a count of 0 and no shares",
    ),
    Convention(
        "a score is not finite, or a field has no score under one seed",
        "refused: no mean is taken of what happens to be there",
        "an error naming fields and seeds",
    ),
    Convention(
        "the pixel size of some fields is not known",
        "distances of all fields are in pixels, so that no mean mixes units",
        "`unit` says px, else µm",
    ),
    Convention(
        "neither label nor prediction has anything in a frame of a clip and in the next",
        "the step between the two is no step, and in no mean: stillness of nothing says nothing",
        "`steps` counts the others",
    ),
    Convention(
        "label or prediction, but not both, is empty in a frame of a clip and in the next, or a prediction is missing",
        f"the temporal consistency of the step is its worst, {WORST:g}: empty masks never flicker",
        "-",
    ),
    Convention(
        "an overlap (IoU) equals the threshold",
        "no match: it must be above, which alone makes matches unique at 0.5",
        "-",
    ),
    Convention(
        "a distance equals the tolerance of contours",
        "within it",
        "`unit` says the tolerance",
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


def fault_share(part: int, whole: int, empty: Empty) -> float:
    """Return part / whole where that is the share of faults: the best is 0 and the worst 1.

    >>> fault_share(1, 4, ""), fault_share(0, 0, "both"), fault_share(0, 3, "prediction")
    (0.25, 0.0, 1.0)
    """
    return 1.0 - share(whole - part, whole, empty)
