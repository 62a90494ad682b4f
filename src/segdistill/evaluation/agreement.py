"""Who of two is right, pixel by pixel: what a teacher knew that its student did not, and the other way round."""

from dataclasses import dataclass

import numpy as np

from segdistill.evaluation.checks import check_grids, check_mask
from segdistill.evaluation.overlap import Mask


@dataclass(frozen=True)
class Agreement:
    """Numbers of pixels, of those that the label or one of the two calls foreground. Two add up."""

    both: int
    """Both say what the label says."""

    first: int
    """Only the first does."""

    second: int
    """Only the second does."""

    neither: int
    """Neither does."""

    def __add__(self, other: "Agreement") -> "Agreement":
        return Agreement(
            self.both + other.both, self.first + other.first, self.second + other.second, self.neither + other.neither
        )

    @property
    def pixels(self) -> int:
        """All of them."""
        return self.both + self.first + self.second + self.neither


def count_agreement(first: Mask, second: Mask, label: Mask, *, counts: Mask | None = None) -> Agreement:
    """Return who is right in the pixels that anybody calls foreground.

    Pixels that all three call background are left out: they are most of many images, and would make
    any two networks look alike.

    Args:
        first: Boolean mask.
        second: Boolean mask of the same shape.
        label: Boolean mask of the same shape.
        counts: True where a pixel counts. None: everywhere.

    Raises:
        ShapeError: The shapes differ.
        DataError: A mask is not boolean, or no pixel counts.

    >>> first, second, label = np.array([[[1, 1, 0, 0, 0]], [[1, 0, 1, 0, 0]], [[1, 1, 0, 1, 0]]]) > 0
    >>> count_agreement(first, second, label)
    Agreement(both=1, first=2, second=0, neither=1)
    """
    for name, mask in (("first mask", first), ("second mask", second), ("label", label)):
        check_grids(mask, label, counts)
        check_mask(mask, name)
    somebody = first | second | label
    if counts is not None:
        somebody &= counts
    first_right, second_right = (first == label) & somebody, (second == label) & somebody
    both = int(np.count_nonzero(first_right & second_right))
    of_first, of_second = int(np.count_nonzero(first_right)), int(np.count_nonzero(second_right))
    total = int(np.count_nonzero(somebody))
    return Agreement(both, of_first - both, of_second - both, total - of_first - of_second + both)
