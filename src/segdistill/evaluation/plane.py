"""One structure in one field: what was predicted beside what is labelled, compared in the ways that scores need."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Shaped

from segdistill.errors import DataError
from segdistill.evaluation.calibration import Reliability, count_reliability
from segdistill.evaluation.instances import Matching, match
from segdistill.evaluation.overlap import Overlap, count_overlap
from segdistill.evaluation.ruler import PIXELS, Ruler
from segdistill.evaluation.surface import Surfaces, boundary_dice, measure_surfaces


@dataclass(frozen=True, eq=False)
class Plane:
    """Two planes of ids, or of 0 and 1. Each comparison is made when first asked for, and once."""

    prediction: Shaped[np.ndarray, "..."]
    """What was predicted."""

    label: Shaped[np.ndarray, "..."]
    """What is labelled."""

    counts: Bool[np.ndarray, "y x"] | None = None
    """True where a pixel counts. None: everywhere."""

    ruler: Ruler = PIXELS
    """In what lengths are told."""

    probability: Shaped[np.ndarray, "..."] | None = None
    """Of foreground, 0 to 1. None: there is no map."""

    @cached_property
    def overlap(self) -> Overlap:
        """Pixels that the two masks share."""
        return count_overlap(self.prediction > 0, self.label > 0, counts=self.counts)

    @cached_property
    def surfaces(self) -> Surfaces:
        """Distances of the masks' contours; objects that touch are one."""
        return measure_surfaces(self.prediction > 0, self.label > 0, counts=self.counts, ruler=self.ruler)

    @cached_property
    def boundary_dice(self) -> float:
        """Dice of the bands along the masks' contours."""
        return boundary_dice(self.prediction > 0, self.label > 0, counts=self.counts, ruler=self.ruler)

    @cached_property
    def matching(self) -> Matching:
        """Which predicted object is which labelled one."""
        return match(self.prediction, self.label, counts=self.counts)

    @cached_property
    def reliability(self) -> Reliability:
        """Pixels by the probability they were given.

        Raises:
            DataError: There is no map.
        """
        if self.probability is None:
            raise DataError(
                "There is no probability map, so calibration cannot be told. Give one, or score it as missing."
            )
        return count_reliability(self.probability, self.label > 0, counts=self.counts)
