"""A report of one offline page: it draws the numbers and pictures that it is handed and computes no score."""

from segdistill.report.content import (
    Answer,
    ArmRow,
    ComparisonRow,
    Convention,
    Dropped,
    Facts,
    GalleryCase,
    Headline,
    Ladder,
    LearningRun,
    Licence,
    Rank,
    ReportContent,
    Role,
    Rung,
    SizeRow,
    Spread,
)
from segdistill.report.page import write_report

__all__ = [
    "Answer",
    "ArmRow",
    "ComparisonRow",
    "Convention",
    "Dropped",
    "Facts",
    "GalleryCase",
    "Headline",
    "Ladder",
    "LearningRun",
    "Licence",
    "Rank",
    "ReportContent",
    "Role",
    "Rung",
    "SizeRow",
    "Spread",
    "write_report",
]
