"""Scores of arms: on a ladder, in the table of arms, against one another and against the papers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from segdistill.errors import UnknownName

Role = Literal["baseline", "student", "control", "all-labels", "teacher", "oracle"]
"""What an arm is for; it decides the colour and shape of its mark."""


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

    training: float | None = None
    """Mean Dice on images whose labels it learnt from, fraction; None: there are none, or nobody looked."""

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

    watt_hours: tuple[float, float] | None = None
    """Ends of what training drew, watt-hours, mean over seeds; equal where it was measured; None: not known."""


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
    """p value corrected for all comparisons of this metric, those of the study's other students among them."""

    tests: int = 0
    """How many these are; 0: there was no test."""

    judged: float | None = None
    """p value that the claim rests on; None: no test."""

    questions: int | None = None
    """Students about whom the study asks this, of whom it is one; None: it is not the question of the study."""

    effect: float | None = None
    """Cohen's d_z over fields; None: one field, or all differences equal."""

    effect_ends: tuple[float, float] | None = None
    """Ends of its 95 % interval."""

    detectable: float | None = None
    """The difference that so many fields and seeds would mostly have shown, fraction; None: too few fields for any."""

    claim: str
    """"better", "worse", or "none"; with how many seeds it rests on, where they are few."""


@dataclass(frozen=True, kw_only=True)
class GainPoint:
    """What distillation bought a student of some size."""

    student: str
    """Name of the network."""

    arm: str
    """The arm that gained."""

    baseline: str
    """The arm over which it gained."""

    parameters: int
    """Of the whole network in use, > 0."""

    gain: float
    """Arm minus baseline, fraction of Dice."""

    ends: tuple[float, float] | None = None
    """Ends of its 95 % interval, fractions; None: one field."""


@dataclass(frozen=True, kw_only=True)
class ParametersRow:
    """How many parameters an arm has while it trains, and how many stay in use."""

    arm: str
    """The arm's name."""

    role: Role
    """What the arm is for."""

    trained: int
    """All that its training changed: the network, and what was learnt beside it."""

    kept: int
    """Of the model that was kept."""

    beyond: int | None = None
    """Of the model that was kept, less its baseline's; None: it has none."""


@dataclass(frozen=True, kw_only=True)
class GroupRow:
    """The scores of the fields that share a value."""

    value: str
    """What they share, for example "fluorescence"."""

    metric: str
    """Name of the score."""

    fields: int
    """How many they are."""

    scores: Mapping[str, Spread]
    """Arm to its mean over these fields, then over seeds."""


@dataclass(frozen=True, kw_only=True)
class GroupScores:
    """Scores told apart by something that the user named."""

    column: str
    """What that is, for example "modality"."""

    rows: tuple[GroupRow, ...]
    """Score by score; of one value alone where every field shares it."""


@dataclass(frozen=True, kw_only=True)
class StructureRow:
    """How well the arms find one of several structures, by one score."""

    structure: str
    """Name of the structure."""

    metric: str
    """Name of the score, for example "HD95"."""

    unit: str
    """Of the numbers; "%" where they are shares, 0…1."""

    fields: int
    """Test fields where it was labelled."""

    scores: Mapping[str, Spread]
    """Arm to its mean over these fields, then over seeds."""


@dataclass(frozen=True, kw_only=True)
class ReferenceRow:
    """A number of others, as they printed it."""

    what: str
    """What was scored."""

    data: str
    """On which images."""

    score: str
    """Name of the score and its unit."""

    printed: str
    """The number, or words."""

    source: str
    """Where it is printed."""


@dataclass(frozen=True, kw_only=True)
class MetricRow:
    """One score of one structure, or of all together, by every arm."""

    metric: str
    """Name of the score, for example "HD95"."""

    meaning: str
    """What it measures, in words."""

    unit: str
    """Of the numbers; "%" where they are shares, 0…1; with the tolerance where it depends on one."""

    higher_is_better: bool
    """Which direction is better."""

    structure: str
    """Name of the structure; "mean over structures" where there are several and this is their mean."""

    fields: int
    """Test fields where it was labelled."""

    scores: Mapping[str, Spread]
    """Arm to its mean over these fields, then over seeds."""


@dataclass(frozen=True, kw_only=True)
class ClaimRow:
    """A claim of a paper, and what this run says to it."""

    claim: str
    """In our words."""

    source: str
    """The paper."""

    state: Literal["reproduced", "refuted", "not told apart", "untested here"]
    """On the images at hand."""

    here: str
    """The numbers that say so, or what would have to be run."""
