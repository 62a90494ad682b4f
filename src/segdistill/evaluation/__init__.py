"""Comparing what was predicted with what was labelled, and saying what the difference is worth.

Arrays in, numbers out; no torch. Only ``pairing``, ``meaning`` and ``folders`` look at files. What
happens where something is empty or missing is written once, in ``conventions``.
"""

from segdistill.evaluation.conventions import CONVENTIONS, conventions_table
from segdistill.evaluation.folders import FolderScores, score_folders
from segdistill.evaluation.instances import (
    THRESHOLDS,
    Matching,
    average_precision,
    f1,
    match,
    mean_average_precision,
    panoptic_quality,
)
from segdistill.evaluation.ladder import Ratio, gap_closed, recovery
from segdistill.evaluation.overlap import Overlap, count_overlap, dice, iou, precision, recall
from segdistill.evaluation.pairing import Pair, Pairing, pair_up
from segdistill.evaluation.scores import Row, score_case
from segdistill.evaluation.spread import Spread, spreads, write_scores
from segdistill.evaluation.statistics import Interval, bootstrap_interval, mean_sd
from segdistill.evaluation.summary import FieldSummary, ScoreTable, Summary, score_tables, summarise

__all__ = [
    "CONVENTIONS",
    "THRESHOLDS",
    "FieldSummary",
    "FolderScores",
    "Interval",
    "Matching",
    "Overlap",
    "Pair",
    "Pairing",
    "Ratio",
    "Row",
    "ScoreTable",
    "Spread",
    "Summary",
    "average_precision",
    "bootstrap_interval",
    "conventions_table",
    "count_overlap",
    "dice",
    "f1",
    "gap_closed",
    "iou",
    "match",
    "mean_average_precision",
    "mean_sd",
    "pair_up",
    "panoptic_quality",
    "precision",
    "recall",
    "recovery",
    "score_case",
    "score_folders",
    "score_tables",
    "spreads",
    "summarise",
    "write_scores",
]
