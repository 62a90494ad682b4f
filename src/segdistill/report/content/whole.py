"""The whole content of a report, from top to bottom."""

from dataclasses import dataclass
from typing import Literal

from segdistill.report.content.data_check import DataCheck
from segdistill.report.content.looks import (
    AgreementRow,
    ChannelRow,
    CostPoint,
    GalleryCase,
    ReliabilityCurve,
    SizeRow,
)
from segdistill.report.content.record import Convention, Dropped, Facts, Headline, LearningRun, Licence
from segdistill.report.content.scores import (
    ArmRow,
    ClaimRow,
    ComparisonRow,
    GainPoint,
    GroupScores,
    Ladder,
    MetricRow,
    ParametersRow,
    ReferenceRow,
    StructureRow,
)
from segdistill.report.shift import ShiftRow

Answer = Literal["yes", "no", "unclear", "untested"]
"""Did distillation help? "unclear": the data cannot tell; "untested": there was no baseline."""


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

    reserve: str = ""
    """Stands behind a yes or a no, such as the number of seeds where it is small; empty: nothing."""

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

    references: tuple[ReferenceRow, ...] = ()
    """Numbers of others, in a table of their own; empty: none were named."""

    arms: tuple[ArmRow, ...] = ()
    """The table of arms."""

    metrics: tuple[MetricRow, ...] = ()
    """Every score that was taken, score by score; empty: none was handed in."""

    gallery: tuple[GalleryCase, ...] = ()
    """Best, median and worst cases, in the order they are shown."""

    sizes: tuple[SizeRow, ...] = ()
    """Which objects were found, from small to large; empty: single objects are not told apart, or are too few."""

    structures: tuple[StructureRow, ...] = ()
    """Scores of each structure, the student's worst first; empty: there is one structure."""

    groups: GroupScores | None = None
    """Scores by a column that the user named; None: none was."""

    gains: tuple[GainPoint, ...] = ()
    """What distillation bought each student of a study; empty: there is one student, or no question."""

    parameters: tuple[ParametersRow, ...] = ()
    """Parameters of each arm in training and in use; empty: not known, as of runs of earlier versions."""

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

    shift: tuple[ShiftRow, ...] = ()
    """Students on other data sets; empty: none was named."""

    runs: tuple[LearningRun, ...] = ()
    """Logs that the learning curves are drawn from."""

    checked: DataCheck | None = None
    """The data, as a survey found it; None: nobody looked."""

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
