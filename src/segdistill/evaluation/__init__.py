"""Comparing what was predicted with what was labelled, and saying what the difference is worth.

Arrays in, numbers out; no torch. Only ``sides``, ``pairing``, ``sizes``, ``meaning``, ``lengths``, ``maps``,
``groups``, ``privacy`` and ``folders`` look at files. What each score is is written once, in ``metrics``, and what
happens where something is empty or missing in ``conventions``.
"""

from segdistill.evaluation.agreement import Agreement, count_agreement
from segdistill.evaluation.budgets import EqualLabels, equal_labels
from segdistill.evaluation.calibration import (
    Bin,
    Reliability,
    count_reliability,
    expected_calibration_error,
    reliability_table,
)
from segdistill.evaluation.comparison import (
    ALPHA,
    MARGIN,
    Comparison,
    Gain,
    NonInferiority,
    compare,
    gain_of,
    non_inferiority,
)
from segdistill.evaluation.conventions import CONVENTIONS, conventions_table
from segdistill.evaluation.correction import holm
from segdistill.evaluation.document import conventions_path, scores_document, write_conventions
from segdistill.evaluation.effect import Effect, effect_size
from segdistill.evaluation.folders import FolderScores, score_folders
from segdistill.evaluation.groups import by_group, read_groups, with_groups
from segdistill.evaluation.instances import (
    THRESHOLDS,
    Matching,
    aji_plus,
    average_precision,
    f1,
    match,
    mean_average_precision,
    merge_share,
    panoptic_quality,
    split_share,
)
from segdistill.evaluation.ladder import Ratio, gap_closed, recovery
from segdistill.evaluation.lengths import Lengths, find_lengths
from segdistill.evaluation.maps import Map, find_maps
from segdistill.evaluation.metrics import METRICS, OF_MASKS, USUAL, Metric, metrics_table
from segdistill.evaluation.overlap import Overlap, count_overlap, dice, iou, precision, recall
from segdistill.evaluation.pairing import Pair, Pairing, pair_up
from segdistill.evaluation.power import detectable_difference
from segdistill.evaluation.privacy import pseudonyms_of, without_names
from segdistill.evaluation.ruler import Ruler
from segdistill.evaluation.scores import Row, score_case
from segdistill.evaluation.sign_flips import SignFlips, sign_flip_test
from segdistill.evaluation.sizes import with_sizes
from segdistill.evaluation.spread import MACRO, Spread, macro_rows, spreads, write_scores
from segdistill.evaluation.statistics import Interval, bootstrap_interval, mean_sd
from segdistill.evaluation.summary import FieldSummary, ScoreTable, Summary, score_tables, summarise
from segdistill.evaluation.surface import (
    Surfaces,
    boundary_dice,
    hd95,
    mean_surface_distance,
    measure_surfaces,
    normalised_surface_dice,
)

__all__ = [
    "ALPHA",
    "CONVENTIONS",
    "MACRO",
    "MARGIN",
    "METRICS",
    "THRESHOLDS",
    "OF_MASKS",
    "USUAL",
    "Agreement",
    "Bin",
    "Comparison",
    "Effect",
    "EqualLabels",
    "FieldSummary",
    "FolderScores",
    "Gain",
    "Interval",
    "Lengths",
    "Map",
    "Matching",
    "Metric",
    "NonInferiority",
    "Overlap",
    "Pair",
    "Pairing",
    "Ratio",
    "Reliability",
    "Row",
    "Ruler",
    "ScoreTable",
    "SignFlips",
    "Spread",
    "Summary",
    "Surfaces",
    "aji_plus",
    "average_precision",
    "bootstrap_interval",
    "boundary_dice",
    "by_group",
    "compare",
    "conventions_path",
    "conventions_table",
    "count_agreement",
    "count_overlap",
    "count_reliability",
    "detectable_difference",
    "dice",
    "effect_size",
    "equal_labels",
    "expected_calibration_error",
    "f1",
    "find_lengths",
    "find_maps",
    "gain_of",
    "gap_closed",
    "hd95",
    "holm",
    "iou",
    "macro_rows",
    "match",
    "mean_average_precision",
    "mean_sd",
    "mean_surface_distance",
    "measure_surfaces",
    "merge_share",
    "metrics_table",
    "non_inferiority",
    "normalised_surface_dice",
    "pair_up",
    "panoptic_quality",
    "precision",
    "pseudonyms_of",
    "read_groups",
    "recall",
    "recovery",
    "reliability_table",
    "score_case",
    "score_folders",
    "score_tables",
    "scores_document",
    "sign_flip_test",
    "split_share",
    "spreads",
    "summarise",
    "with_groups",
    "with_sizes",
    "without_names",
    "write_conventions",
    "write_scores",
]
