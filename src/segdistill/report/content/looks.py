"""What was seen of the test fields beside the scores of arms: pictures, sizes, time, trust, channels."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from segdistill.errors import ShapeError
from segdistill.report.content.scores import Role

Rank = Literal["best", "median", "worst", "between"]
"""Where a case stands among all held-out cases, by the student's score; "between": none of the others."""


@dataclass(frozen=True, eq=False, kw_only=True)
class GalleryCase:
    """One field and what each network made of it; every array lies on the same grid."""

    name: str
    """The field's name."""

    rank: Rank
    """Where it stands among the held-out fields."""

    unit: str = ""
    """The field of the scores, such as a patient, that it is a picture of; empty: its own name."""

    structure: str = "cell"
    """What is segmented."""

    scores: Mapping[str, float] = field(default_factory=dict)
    """Who ("baseline", "student", "teacher") to score of this field, fraction."""

    metric: str = "Dice"
    """Name of that score."""

    student_view: Float[np.ndarray, "c y x"]
    """What the student sees, 0 to 1."""

    student_channels: tuple[str, ...]
    """Names of the student's channels."""

    teacher_view: Float[np.ndarray, "_c _y _x"] | None = None
    """What the teacher sees, 0 to 1; None: no teacher, or only its maps are known."""

    teacher_channels: tuple[str, ...] = ()
    """Names of the teacher's channels."""

    label: Int[np.ndarray, "_y _x"] | None = None
    """Instances, or 0 and 1; None: this field has no label."""

    teacher_map: Float[np.ndarray, "_y _x"] | None = None
    """The teacher's probability, 0 to 1; None: no teacher."""

    baseline: Int[np.ndarray, "_y _x"] | None = None
    """What the baseline segmented; None: there is no baseline."""

    student: Int[np.ndarray, "_y _x"] | None = None
    """What the student segmented; None: there is no student."""

    counts: Bool[np.ndarray, "_y _x"] | None = None
    """Where pixels count; None: everywhere."""

    def __post_init__(self) -> None:
        wanted = self.student_view.shape[1:]
        for name in ("teacher_view", "label", "teacher_map", "baseline", "student", "counts"):
            array = getattr(self, name)
            if array is not None and array.shape[-2:] != wanted:
                raise ShapeError(
                    f"gallery case {self.name!r}: {name} is {array.shape[-2:]} but the student's view is {wanted}"
                    " (y, x). Hand in all arrays of a case on one grid."
                )
        if 0 in wanted:
            raise ShapeError(f"gallery case {self.name!r} has no pixels: {wanted} (y, x). Leave it out.")


@dataclass(frozen=True, kw_only=True)
class SizeRow:
    """Labelled objects of about one size, and who found how many of them."""

    structure: str
    """What they are."""

    low: float
    """Area of the smallest."""

    high: float
    """Area of the largest."""

    unit: str
    """Of both: "µm²" or "px"."""

    objects: int
    """How many there are."""

    found: Mapping[str, float]
    """Who ("student", "baseline") to the share that was found, fraction."""


@dataclass(frozen=True, kw_only=True)
class CostPoint:
    """How good a network is and how long it takes."""

    name: str
    """Of the network."""

    role: Role
    """Whose it is."""

    score: float
    """Mean over fields and seeds, fraction."""

    milliseconds: float
    """Per megapixel."""

    parameters: int | None = None
    """Of the whole network; None: not known."""


@dataclass(frozen=True, kw_only=True)
class ReliabilityCurve:
    """Whether a network's probabilities mean what they say."""

    who: str
    """Whose they are, for example "student"."""

    role: Role
    """How it is drawn."""

    bins: tuple[tuple[float, float, int], ...]
    """Of each bin with a pixel: mean probability, share that is foreground, and how many pixels."""

    error: float
    """Expected calibration error over all pixels, fraction."""


@dataclass(frozen=True, kw_only=True)
class AgreementRow:
    """Who is right where anybody says foreground: a network, its teacher, both or neither; shares, fractions."""

    who: str
    """The network, for example "student"."""

    both: float
    """Both say what the label says."""

    only_own: float
    """Only the network does."""

    only_teacher: float
    """Only the teacher does."""

    neither: float
    """Neither does."""

    pixels: int
    """All of them."""


@dataclass(frozen=True, kw_only=True)
class ChannelRow:
    """What one channel is worth to a network."""

    who: str
    """The network, for example "teacher"."""

    role: Role
    """How it is drawn."""

    channel: str
    """Its name."""

    whole: float
    """Score with every channel of the field itself, fraction."""

    without: float
    """Score where this channel is another field's, fraction."""

    fields: int
    """How many were shown."""
