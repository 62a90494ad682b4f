"""What a report is handed: frozen records of numbers, words and arrays.

Scores are fractions from 0 to 1 and are shown as percentages. ``None`` always means "there is no such
number" and is drawn as a dash; a number that is not finite is shown as such and is not plotted. Empty
tuples are allowed everywhere: the section then says in words that there was nothing to show.
"""

from segdistill.report.content.data_check import DataCheck, Doubles, Part, Suspect
from segdistill.report.content.looks import (
    AgreementRow,
    ChannelRow,
    CostPoint,
    GalleryCase,
    Rank,
    ReliabilityCurve,
    SizeRow,
)
from segdistill.report.content.record import (
    Convention,
    Dropped,
    Facts,
    Headline,
    LearningRun,
    Licence,
)
from segdistill.report.content.scores import (
    ArmRow,
    ClaimRow,
    ComparisonRow,
    GainPoint,
    GroupRow,
    GroupScores,
    Ladder,
    MetricRow,
    ParametersRow,
    ReferenceRow,
    Role,
    Rung,
    Spread,
    StructureRow,
)
from segdistill.report.content.whole import (
    Answer,
    ReportContent,
)

__all__ = [
    "AgreementRow",
    "Answer",
    "ArmRow",
    "ChannelRow",
    "ClaimRow",
    "ComparisonRow",
    "Convention",
    "CostPoint",
    "DataCheck",
    "Doubles",
    "Dropped",
    "Facts",
    "GainPoint",
    "GalleryCase",
    "GroupRow",
    "GroupScores",
    "Headline",
    "Ladder",
    "LearningRun",
    "Licence",
    "ParametersRow",
    "MetricRow",
    "Part",
    "Rank",
    "ReferenceRow",
    "ReliabilityCurve",
    "ReportContent",
    "Role",
    "Rung",
    "SizeRow",
    "Spread",
    "StructureRow",
    "Suspect",
]
