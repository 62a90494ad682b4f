"""What a report is handed: frozen records of numbers, words and arrays.

Scores are fractions from 0 to 1 and are shown as percentages. ``None`` always means "there is no such
number" and is drawn as a dash; a number that is not finite is shown as such and is not plotted. Empty
tuples are allowed everywhere: the section then says in words that there was nothing to show.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from segdistill.errors import ShapeError, UnknownName

Role = Literal["baseline", "student", "control", "all-labels", "teacher", "oracle"]
"""What an arm is for; it decides the colour and shape of its mark."""

Rank = Literal["best", "median", "worst"]
"""Where a case stands among all held-out cases, by the student's score."""

Answer = Literal["yes", "no", "unclear", "untested"]
"""Did distillation help? "unclear": the data cannot tell; "untested": there was no baseline."""


@dataclass(frozen=True, kw_only=True)
class Spread:
    """A score and how far it moves from seed to seed."""

    mean: float | None
    """Fraction; None: not measured."""

    sd: float | None = None
    """Standard deviation over seeds, fraction; None: one seed, or a network that has no seed."""


@dataclass(frozen=True, kw_only=True)
class Rung:
    """One arm on a ladder."""

    name: str
    """The arm's name, as in scores.csv."""

    role: Role
    """What the arm is for."""

    description: str = ""
    """The arm in plain words."""

    score: Spread
    """Mean over fields, then over seeds."""

    per_seed: Mapping[int, float] = field(default_factory=dict)
    """Seed to its mean over fields; empty: the arm has no seeds."""

    per_field: Mapping[str, Spread] = field(default_factory=dict)
    """Field to its score over seeds; empty: not handed in."""

    labels_used: int | None = None
    """Labelled images used anywhere for this arm, its teacher's included; None: unknown."""


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """Arms of one comparison: same data, same protocol, one score."""

    title: str
    """Which regime this is, for example "6 labelled images, targets on 130"."""

    rungs: tuple[Rung, ...]
    """From top to bottom."""

    metric: str = "Dice"
    """Name of the score."""

    baseline: str | None = None
    """Rung from which the gap is counted; None: there is none."""

    student: str | None = None
    """Rung whose recovery and gap closed are drawn; None: there is none."""

    teacher: str | None = None
    """Rung (teacher or oracle) to which the gap is counted; None: there is none."""

    recovery: float | None = None
    """Student's score over the teacher's, fraction."""

    gap_closed: float | None = None
    """Share of the way from baseline to teacher that the student went; may be negative or above 1."""

    note: str = ""
    """A remark below the ladder, for example why the gap closed is not stated."""

    def __post_init__(self) -> None:
        names = [rung.name for rung in self.rungs]
        for name in (self.baseline, self.student, self.teacher):
            if name is not None and name not in names:
                raise UnknownName("rung", name, names)

    def rung(self, name: str | None) -> Rung | None:
        """Return the rung with this name, or None where the name is None."""
        return next((rung for rung in self.rungs if rung.name == name), None)


@dataclass(frozen=True, kw_only=True)
class ArmRow:
    """One row of the table of arms."""

    name: str
    """The arm's name."""

    role: Role
    """What the arm is for."""

    setting: str = ""
    """The regime it ran in, for example "few labels"."""

    scores: Mapping[str, Spread]
    """Metric to score; a metric that is missing in one row is a dash there."""

    recovery: float | None = None
    """Score over the teacher's, fraction."""

    recovery_ends: tuple[float, float] | None = None
    """Ends of its 95 % interval, fractions; None: no interval."""

    gap_closed: float | None = None
    """Share of the gap closed, fraction."""

    gap_closed_ends: tuple[float, float] | None = None
    """Ends of its 95 % interval, fractions; None: no interval."""

    labels_used: int | None = None
    """Labelled images used anywhere for this arm."""

    labels_saved: str = ""
    """Labels saved, in words because it may be a bound; empty: not measured."""

    parameters: int | None = None
    """Parameters of the whole network."""

    encoder_parameters: int | None = None
    """Parameters of its encoder alone."""

    gigamacs_per_megapixel: float | None = None
    """Multiply-adds, 10⁹ per megapixel of input."""

    train_minutes: float | None = None
    """Wall-clock minutes of training, mean over seeds."""


@dataclass(frozen=True, kw_only=True)
class ComparisonRow:
    """The difference of two arms, first minus second, with all that it rests on."""

    metric: str
    """Name of the score."""

    first: str
    """An arm's name."""

    second: str
    """An arm's name."""

    words: str = ""
    """What the difference speaks of."""

    difference: float
    """Positive where the first is better, fraction."""

    ends: tuple[float, float] | None = None
    """Ends of its 95 % interval over fields and seeds, fractions; None: one field."""

    better: int
    """Fields on which the first is better, averaged over seeds."""

    fields: int
    """All fields."""

    seeds: int
    """Seeds of each arm."""

    p: float | None = None
    """Of the paired test over fields; None: one field."""

    smallest_p: float | None = None
    """The smallest that the test could have given."""

    holm: float | None = None
    """p value corrected for all comparisons of this metric."""

    effect: float | None = None
    """Cohen's d_z over fields; None: one field, or all differences equal."""

    effect_ends: tuple[float, float] | None = None
    """Ends of its 95 % interval."""

    detectable: float | None = None
    """The difference that so many fields and seeds would mostly have shown, fraction; None: too few fields for any."""

    claim: str
    """"better", "worse", or "none"."""


@dataclass(frozen=True, eq=False, kw_only=True)
class GalleryCase:
    """One field and what each network made of it; every array lies on the same grid."""

    name: str
    """The field's name."""

    rank: Rank
    """Where it stands among the held-out fields."""

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


@dataclass(frozen=True, kw_only=True)
class ClaimRow:
    """A claim of a paper, and what this run says to it."""

    claim: str
    """In our words."""

    source: str
    """The paper."""

    state: Literal["borne out", "contradicted", "not decided", "untested"]
    """On the images at hand."""

    here: str
    """The numbers that say so, or what would have to be run."""


@dataclass(frozen=True, kw_only=True)
class LearningRun:
    """The log of one arm and seed."""

    arm: str
    """The arm's name."""

    role: Role
    """What the arm is for."""

    seed: int
    """The run's seed."""

    records: tuple[Mapping[str, Any], ...]
    """Lines of log.jsonl: ``step`` with ``loss``, ``terms``, ``weights`` and ``learning_rate``, or with
    ``validation``."""


@dataclass(frozen=True, kw_only=True)
class Headline:
    """One number of the first screen, written as it should be read."""

    value: str
    """For example "46 %"."""

    label: str
    """For example "gap closed"."""

    detail: str = ""
    """What the number means or rests on."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """A titled list of names and values, for example versions or input hashes."""

    title: str
    """Heading of the list."""

    values: Mapping[str, str]
    """Name to value."""


@dataclass(frozen=True, kw_only=True)
class Licence:
    """The terms under which something that was used may be used."""

    subject: str
    """For example "teacher sam-vit-h"."""

    licence: str
    """For example "Apache-2.0"."""

    note: str = ""
    """For example "research use only"."""


@dataclass(frozen=True, kw_only=True)
class Dropped:
    """Something that was handed in and not used."""

    what: str
    """A file, or a kind of thing."""

    why: str
    """The reason, in words."""

    count: int = 1
    """How many."""


@dataclass(frozen=True, kw_only=True)
class Convention:
    """How an awkward case is counted."""

    case: str
    """For example "label and prediction are both empty"."""

    rule: str
    """For example "Dice is 1"."""


@dataclass(frozen=True, kw_only=True)
class ReportContent:
    """Everything a report shows, from top to bottom."""

    title: str
    """What was run."""

    run_id: str
    """Identity of the run, so that an old report is never taken for a new one."""

    made: str
    """When, as text with its time zone."""

    answer: Answer
    """Whether distillation helped."""

    verdict: tuple[str, ...]
    """Plain sentences; the first is set large."""

    headlines: tuple[Headline, ...] = ()
    """Numbers of the first screen, four at most look best."""

    ladders: tuple[Ladder, ...] = ()
    """The first is drawn large, the others small on the same scale."""

    notes: tuple[str, ...] = ()
    """What must be known to read the result rightly."""

    comparisons: tuple[ComparisonRow, ...] = ()
    """The table of comparisons, metric by metric."""

    remarks: tuple[str, ...] = ()
    """Sentences above that table."""

    claims: tuple[ClaimRow, ...] = ()
    """Claims of the papers; empty: not looked at."""

    arms: tuple[ArmRow, ...] = ()
    """The table of arms."""

    gallery: tuple[GalleryCase, ...] = ()
    """Best, median and worst cases, in the order they are shown."""

    sizes: tuple[SizeRow, ...] = ()
    """Which objects were found, from small to large; empty: single objects are not told apart, or are too few."""

    costs: tuple[CostPoint, ...] = ()
    """Score against time; empty: nothing was timed."""

    machine: str = ""
    """On what they were timed."""

    reliability: tuple[ReliabilityCurve, ...] = ()
    """Whether probabilities mean what they say; empty: no pixel was counted."""

    agreement: tuple[AgreementRow, ...] = ()
    """Where networks and their teacher differ; empty: there is no teacher."""

    channels: tuple[ChannelRow, ...] = ()
    """What each channel is worth; empty: no network has a channel that could be exchanged."""

    runs: tuple[LearningRun, ...] = ()
    """Logs that the learning curves are drawn from."""

    command: str = ""
    """The command line that makes this again."""

    provenance: tuple[Facts, ...] = ()
    """Versions, device, seeds, hashes, times."""

    licences: tuple[Licence, ...] = ()
    """Of teachers and data."""

    dropped: tuple[Dropped, ...] = ()
    """Everything that was left out, and why."""

    conventions: tuple[Convention, ...] = ()
    """How empty, missing and non-finite cases are counted."""
