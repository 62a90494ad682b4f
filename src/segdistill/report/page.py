"""The page: one HTML file that needs nothing but itself."""

import base64
import hashlib
from pathlib import Path
from typing import Any

from markupsafe import Markup

from segdistill.files import whole_file
from segdistill.report.content import ReportContent
from segdistill.report.curves import view_curves, view_legend
from segdistill.report.encoding import LARGEST
from segdistill.report.fields import view_fields
from segdistill.report.frame import framed, resource
from segdistill.report.gain_plot import gain_plot, gains_csv
from segdistill.report.gallery import pictures_of, view_case
from segdistill.report.ladder import shared_axis, view_ladder
from segdistill.report.paired import view_paired
from segdistill.report.scatter import cost_plot, reliability_plot
from segdistill.report.shift import shift_csv
from segdistill.report.svg import key
from segdistill.report.tables import Cell, Download, csv_download
from segdistill.report.wording import as_count

MOST_BYTES = 20_000_000
"""A report is smaller than this; its pictures shrink until it is."""

SIDES = (LARGEST, 448, 320, 224, 160)
"""Longer sides of the pictures that are tried, pixels."""


def write_report(path: Path, content: ReportContent) -> None:
    """Write a report as one HTML file, whole or not at all.

    Args:
        path: The file's name; an older file of that name is replaced once the new one is whole.
        content: What to show. All of its text is escaped.

    Raises:
        EnvironmentFault: The file could not be written.
    """
    code = rendered(content)
    with whole_file(path) as partial:
        partial.write_bytes(code)


def rendered(content: ReportContent) -> bytes:
    r"""Return the page as UTF-8, with pictures as large as its greatest size allows.

    Text that is not valid Unicode, as a file name may be, is written with its bytes as ``\udc80``.
    """
    code = b""
    for side in SIDES:
        code = _page(content, side)
        if len(code) < MOST_BYTES:
            break
    return code


def _page(content: ReportContent, side: int) -> bytes:
    script = resource("report.js")
    return framed(
        "report.html",
        styles=("report.css",),
        names={"key": key},
        content=content,
        script=Markup(script),  # noqa: S704 (a file of this package)
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        **_views(content, side),
    )


def _views(content: ReportContent, side: int) -> dict[str, Any]:
    axis = shared_axis(content.ladders)
    paired = view_paired(content.ladders, pictures_of(content.gallery))
    names = ["ladder", *(f"ladder_{place}" for place in range(2, len(content.ladders) + 1))]
    return {
        "ladders": [view_ladder(ladder, axis, name=name) for ladder, name in zip(content.ladders, names, strict=False)],
        "from_zero": axis.low <= 0,
        "paired": paired,
        "paired_worse": any(view.worse for view in paired),
        "paired_linked": any(view.linked for view in paired),
        "paired_bare": any(view.linked < view.fields for view in paired),
        "fields": [view for ladder in content.ladders if (view := view_fields(ladder))],
        "comparisons_csv": _comparisons_csv(content),
        "families": [
            f"{as_count(tests, 'test')} by {metric}"
            for metric, tests in dict.fromkeys((row.metric, row.tests) for row in content.comparisons if row.tests)
        ],
        "asked_of": max((row.questions or 1 for row in content.comparisons), default=1),
        "claims_csv": csv_download(
            "claims",
            ["claim", "source", "here", "by what"],
            [[row.claim, row.source, row.state, row.here] for row in content.claims],
        ),
        "references_csv": csv_download(
            "references",
            ["what", "data", "score", "printed", "source"],
            [[row.what, row.data, row.score, row.printed, row.source] for row in content.references],
        ),
        "bound": [licence for licence in content.licences if "research use only" in licence.note.lower()],
        "metrics": _metrics(content),
        "metric_arms": list(dict.fromkeys(arm for row in content.metrics for arm in row.scores)),
        "several_structures": len({row.structure for row in content.metrics}) > 1,
        "metrics_csv": _metrics_csv(content),
        "arms_csv": _arms_csv(content),
        "any_training": any(arm.training is not None for arm in content.arms),
        "any_energy": any(arm.watt_hours for arm in content.arms),
        "any_saved": any(arm.labels_saved for arm in content.arms),
        "cases": [view_case(case, side=side) for case in content.gallery],
        "finders": _finders(content),
        "sizes_csv": _sizes_csv(content),
        "group_values": _values(content),
        "group_arms": _group_arms(content),
        "groups_csv": _groups_csv(content),
        "structure_arms": _structure_arms(content),
        "structures_csv": _structures_csv(content),
        "cost": cost_plot(content.costs) if content.costs else None,
        "costs_csv": _costs_csv(content),
        "gains": gain_plot(content.gains) if content.gains else None,
        "gains_csv": gains_csv(content.gains),
        "parameters_csv": _parameters_csv(content),
        "reliability": reliability_plot(content.reliability) if content.reliability else None,
        "reliability_csv": _reliability_csv(content),
        "agreement_csv": _agreement_csv(content),
        "channels_csv": _channels_csv(content),
        "shift_csv": shift_csv(content.shift),
        "curves": view_curves(content.runs),
        "curve_arms": view_legend(content.runs),
    }


def _finders(content: ReportContent) -> list[str]:
    return list(dict.fromkeys(who for row in content.sizes for who in row.found))


def _sizes_csv(content: ReportContent) -> Download:
    who = _finders(content)
    header = ["structure", "smallest", "largest", "unit", "objects", *(f"found by {name}" for name in who)]
    rows: list[list[Cell]] = [
        [row.structure, row.low, row.high, row.unit, row.objects, *(row.found.get(name) for name in who)]
        for row in content.sizes
    ]
    return csv_download("sizes", header, rows)


def _structure_arms(content: ReportContent) -> list[str]:
    return list(dict.fromkeys(arm for row in content.structures for arm in row.scores))


def _structures_csv(content: ReportContent) -> Download:
    rows: list[list[Cell]] = [
        [row.structure, row.metric, row.unit, row.fields, arm, score.mean, score.sd]
        for row in content.structures
        for arm, score in row.scores.items()
    ]
    return csv_download("by_structure", ["structure", "metric", "unit", "fields", "arm", "mean", "sd"], rows)


def _metrics_csv(content: ReportContent) -> Download:
    rows: list[list[Cell]] = [
        [row.structure, row.metric, row.unit, "higher" if row.higher_is_better else "lower", row.fields, arm, *score]
        for row in content.metrics
        for arm, score in ((arm, (score.mean, score.sd)) for arm, score in row.scores.items())
    ]
    return csv_download("every_metric", ["structure", "metric", "unit", "better", "fields", "arm", "mean", "sd"], rows)


def _values(content: ReportContent) -> list[str]:
    return list(dict.fromkeys(row.value for row in content.groups.rows)) if content.groups else []


def _group_arms(content: ReportContent) -> list[str]:
    return list(dict.fromkeys(arm for row in content.groups.rows for arm in row.scores)) if content.groups else []


def _groups_csv(content: ReportContent) -> Download:
    rows: list[list[Cell]] = [
        [row.value, row.metric, row.fields, arm, score.mean, score.sd]
        for row in (content.groups.rows if content.groups else ())
        for arm, score in row.scores.items()
    ]
    column = content.groups.column if content.groups else "value"
    return csv_download("by_group", [column, "metric", "fields", "arm", "mean", "sd"], rows)


def _costs_csv(content: ReportContent) -> Download:
    header = ["network", "role", "score", "milliseconds per megapixel", "parameters"]
    rows: list[list[Cell]] = [
        [point.name, point.role, point.score, point.milliseconds, point.parameters] for point in content.costs
    ]
    return csv_download("time", header, rows)


def _parameters_csv(content: ReportContent) -> Download:
    header = ["arm", "role", "in training", "in use", "gone after training", "in use beyond its baseline"]
    rows: list[list[Cell]] = [
        [row.arm, row.role, row.trained, row.kept, row.trained - row.kept, row.beyond] for row in content.parameters
    ]
    return csv_download("parameters", header, rows)


def _reliability_csv(content: ReportContent) -> Download:
    header = ["network", "mean probability", "share of foreground", "pixels"]
    rows: list[list[Cell]] = [[curve.who, *each] for curve in content.reliability for each in curve.bins]
    return csv_download("calibration", header, rows)


def _agreement_csv(content: ReportContent) -> Download:
    header = ["network", "both right", "only the network", "only the teacher", "neither", "pixels"]
    rows: list[list[Cell]] = [
        [row.who, row.both, row.only_own, row.only_teacher, row.neither, row.pixels] for row in content.agreement
    ]
    return csv_download("disagreement", header, rows)


def _channels_csv(content: ReportContent) -> Download:
    header = ["network", "channel", "score", "score with another field's channel", "fields"]
    rows: list[list[Cell]] = [[row.who, row.channel, row.whole, row.without, row.fields] for row in content.channels]
    return csv_download("channels", header, rows)


def _metrics(content: ReportContent) -> list[str]:
    return list(dict.fromkeys(name for arm in content.arms for name in arm.scores))


def _arms_csv(content: ReportContent) -> Download:
    metrics = _metrics(content)
    scores = [name for metric in metrics for name in (metric, f"{metric} sd")]
    ratios = [name for ratio in ("recovery", "gap_closed") for name in (ratio, f"{ratio} low", f"{ratio} high")]
    numbers = (
        "labels_used",
        "labels_saved",
        "parameters",
        "encoder_parameters",
        "gigamacs_per_megapixel",
        "train_minutes",
    )
    rows: list[list[Cell]] = []
    for arm in content.arms:
        found = [arm.scores.get(metric) for metric in metrics]
        means = [value for score in found for value in ((score.mean, score.sd) if score else (None, None))]
        shares = [arm.recovery, *_ends(arm.recovery_ends), arm.gap_closed, *_ends(arm.gap_closed_ends)]
        others = [*(getattr(arm, number) for number in numbers), *_ends(arm.watt_hours)]
        rows.append([arm.setting, arm.name, arm.role, *means, arm.training, *shares, *others])
    energy = ("train_watt_hours low", "train_watt_hours high")
    header = ["setting", "arm", "role", *scores, "Dice on training images", *ratios, *numbers, *energy]
    return csv_download("arms", header, rows)


def _comparisons_csv(content: ReportContent) -> Download:
    header = ["metric", "first", "second", "difference", "low", "high", "fields better", "fields", "seeds"]
    header += [
        "p",
        "smallest p",
        "p after Holm",
        "tests in the family",
        "p of the claim",
        "d_z",
        "d_z low",
        "d_z high",
        "detectable difference",
        "claim",
    ]
    rows: list[list[Cell]] = [
        [
            *(row.metric, row.first, row.second, row.difference, *_ends(row.ends), row.better, row.fields, row.seeds),
            *(row.p, row.smallest_p, row.holm, row.tests, row.judged),
            *(row.effect, *_ends(row.effect_ends), row.detectable, row.claim),
        ]
        for row in content.comparisons
    ]
    return csv_download("comparisons", header, rows)


def _ends(ends: tuple[float, float] | None) -> tuple[float | None, float | None]:
    return (None, None) if ends is None else ends
