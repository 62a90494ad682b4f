"""How steady masks are from frame to frame of a clip, measured against how much what is labelled moves.

Masks that flicker differ from frame to frame more than what they are masks of; masks that lag or stand still differ
less. So the Dice of each mask with the next one is compared with that of the labels: real motion is not held against a
prediction. Nothing is warped, and no optical flow is estimated, on whose errors a score would depend.

What it does not say: whether the masks are right. A prediction that is wrong in the same way in every frame is steady;
read this beside Dice. Objects are not followed: all objects of a structure are one mask.

Source: masks of neighbouring frames compared by IoU, after warping them by optical flow: Liu et al. 2020, Efficient
Semantic Video Segmentation with Per-frame Inference, arXiv:2002.11433. That a sequence of empty masks is perfectly
consistent, against which the rules below guard: Azulay et al. 2021, Temporally stable video segmentation without video
annotations, arXiv:2110.08893. The comparison with the change of the labels themselves is ours.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from segdistill.evaluation.conventions import WORST
from segdistill.evaluation.overlap import Mask, count_overlap, dice_of


@dataclass(frozen=True)
class Consistency:
    """How steady one structure is in one clip."""

    score: float
    """Mean over steps of 1 − |Dice of two neighbouring predictions − Dice of the two labels|, 0 to 1; 1 is best."""

    prediction: float | None
    """Mean Dice of predictions with the next; None where no two neighbours have any."""

    label: float | None
    """Mean Dice of labels with the next; None where no two neighbours have any."""

    steps: int
    """From a frame to the next, in which something is labelled or was found."""


def step_dice(before: Mask, after: Mask, *, counts: Mask | None = None) -> float | None:
    """Return the Dice of a mask and that of the next frame; None where both are empty.

    Args:
        before: Boolean mask.
        after: Boolean mask of the same shape.
        counts: True where a pixel counts, in both frames. None: everywhere.

    Raises:
        ShapeError: The shapes differ.
        DataError: A mask is not boolean, or no pixel counts.

    >>> import numpy as np
    >>> step_dice(np.array([[True, True, False]]), np.array([[False, True, True]]))
    0.5
    """
    overlap = count_overlap(before, after, counts=counts)
    return None if overlap.empty == "both" else dice_of(overlap)


@dataclass
class Steadiness:
    """The mean Dice of the masks of neighbouring frames, which are given one after another.

    >>> import numpy as np
    >>> steadiness = Steadiness()
    >>> for number, mask in enumerate([[True, True, False], [False, True, True], [False, True, True]]):
    ...     steadiness.add(number, np.array([mask]))
    >>> steadiness.mean
    0.75
    """

    _before: tuple[int, Mask] | None = field(init=False, default=None)
    _steps: list[float] = field(init=False, default_factory=list)

    def add(self, number: int, mask: Mask) -> None:
        """Take the mask of a frame.

        Args:
            number: Of the frame; it is compared with that of the frame just before it, if there was one.
            mask: Boolean.
        """
        if self._before is not None and self._before[0] == number - 1:
            step = step_dice(self._before[1], mask)
            self._steps += [] if step is None else [step]
        self._before = (number, mask)

    @property
    def mean(self) -> float | None:
        """0 to 1; None where no two neighbours have any pixel."""
        return _mean(self._steps)


@dataclass(frozen=True, eq=False)
class Labelled:
    """One labelled frame of a clip and what was predicted of it."""

    number: int
    """Of the frame in its clip. Frames whose numbers differ by 1 are neighbours."""

    label: Mask
    """Boolean."""

    prediction: Mask | None
    """Boolean, of the same shape; None: there is none."""

    counts: Mask | None = None
    """True where a pixel counts. None: everywhere."""


def temporal_consistency(frames: Iterable[Labelled]) -> Consistency | None:
    """Return how steady a structure's masks are in a clip, beside its labels.

    A step leads from a frame to its neighbour. Its score is 1 − |p − l|, with p the Dice of the two predictions and l
    that of the two labels. It is 0, the worst, where both predictions are empty and a label is not, or both labels are
    and a prediction is not, or where a prediction is missing. Where all four are empty there is no step.

    Args:
        frames: Of one clip, in the order of their numbers. No more than two are held at a time.

    Returns:
        The mean over steps; None where there is no step.

    Raises:
        ShapeError: Masks of one clip differ in shape.
        DataError: A mask is not boolean.
    """
    scores, predictions, labels = [], [], []
    before: Labelled | None = None
    for frame in frames:
        if before is not None and before.number == frame.number - 1:
            step = _step(before, frame)
            if step is not None:
                score, prediction, label = step
                scores.append(score)
                predictions += [] if prediction is None else [prediction]
                labels += [] if label is None else [label]
        before = frame
    mean = _mean(scores)
    return None if mean is None else Consistency(mean, _mean(predictions), _mean(labels), len(scores))


def _step(before: Labelled, after: Labelled) -> tuple[float, float | None, float | None] | None:
    """Return a step's score, and the Dice of predictions and labels; None: nothing counts, or nothing is there."""
    counts = before.counts if after.counts is None else after.counts
    if before.counts is not None and after.counts is not None:
        counts = before.counts & after.counts
    if counts is not None and not counts.any():
        return None
    label = step_dice(before.label, after.label, counts=counts)
    if before.prediction is None or after.prediction is None:
        return WORST, None, label
    prediction = step_dice(before.prediction, after.prediction, counts=counts)
    if prediction is None and label is None:
        return None
    if prediction is None or label is None:
        return WORST, prediction, label
    return 1 - abs(prediction - label), prediction, label


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None
