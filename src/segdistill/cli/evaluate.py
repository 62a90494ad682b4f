"""`segdistill evaluate`."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from segdistill.cli.tables import show
from segdistill.errors import ConfigError
from segdistill.settings import Evaluate

if TYPE_CHECKING:
    from segdistill.evaluation import ClipScore, FolderScores, Reliability, Spread
    from segdistill.evaluation.summary import Record

DEFAULTS = Evaluate()

_SIDES = {
    "both": "label and prediction are both empty (every score is its best)",
    "label": "only the label is empty (every score is its worst)",
    "prediction": "only the prediction is empty (every score is its worst)",
}


def evaluate(predictions: Path, labels: Path, *, config: Annotated[Evaluate, Parameter(name="*")] = DEFAULTS) -> int:
    """Score masks against labels, whoever made them; either may be outlines from QuPath, ImageJ or COCO.

    A label without a prediction, or with one that cannot be used, has the worst scores. The exit
    status is 1 if there is such a label, or one that cannot be used itself.

    Args:
        predictions: Folder of masks, searched through, or one mask; or a COCO file. With --value-names the folder that
            has one of masks for each name.
        labels: Folder of labels of the same stems, or one label; or a COCO file.
        config: What the files mean, which scores to give, and where to write them.
    """
    from segdistill.evaluation import (
        clips_path,
        conventions_path,
        find_lengths,
        find_maps,
        find_parts,
        macro_rows,
        pair_up,
        pseudonyms_of,
        score_clips,
        score_folders,
        with_groups,
        with_sizes,
        without_names,
        write_clips,
        write_conventions,
        write_scores,
    )

    for path in () if config.out is None else (config.out, conventions_path(config.out), clips_path(config.out)):
        if path.exists():
            raise ConfigError(f"{path} exists, and nothing is overwritten. Remove it or choose another --out.")
    metrics = _metrics(config)
    groups = _groups(config.groups)
    parts, remarks = find_parts(
        predictions,
        structures=config.structures,
        value_names=config.names_of_values,
        prediction_kind=config.prediction_kind,
    )
    places = {
        place: with_sizes(
            pair_up(
                predictions,
                labels,
                ignore=config.ignore,
                field_of_view=config.field_of_view,
                structure=config.structure,
                part=place,
                value_names=config.names_of_values,
            ),
            config.images,
        )
        for place in parts
    }
    pairs = [pair for pairing in places.values() for pair in pairing.pairs]
    names = pseudonyms_of(pairs) if config.private else None
    lengths = find_lengths(
        [pair.label for pair in pairs],
        pixel_size=config.pixel_size,
        tolerance=config.tolerance,
        images={pair.label: pair.image for pair in pairs if pair.image is not None},
    )
    scores = [
        score_folders(
            pairing,
            structure=place or config.structure,
            label_kind=config.label_kind,
            prediction_kind=config.prediction_kind,
            metrics=metrics,
            lengths=lengths,
            maps=None if config.probabilities is None else find_maps(pairing, config.probabilities),
        )
        for place, pairing in places.items()
    ]
    steady = [
        score
        for place, pairing in places.items()
        for score in score_clips(
            pairing,
            structure=place or config.structure,
            pattern=config.clips,
            label_kind=config.label_kind,
            prediction_kind=config.prediction_kind,
        )
    ]
    if groups is not None:
        scores = [replace(each, rows=with_groups(each.rows, groups)) for each in scores]
    written = scores if names is None else [without_names(each, names, groups) for each in scores]
    if config.out is not None:
        write_scores(config.out, written)
        write_conventions(config.out, unit=lengths.unit, tolerance=lengths.tolerance)
        if steady:
            write_clips(clips_path(config.out), steady, names=names)
    rows = [row for each in written for row in each.rows]
    _print_scores([*rows, *macro_rows(rows)], metrics)
    _print_clips(steady)
    if config.clips is not None and not steady:
        print(
            "--clips: no step is scored, as no frame of a clip has a next one, by its number, with anything in either."
        )
    for each in scores:
        _print_account(each)
    print(*remarks, sep="\n", end="\n" * bool(remarks))
    _print_notes(lengths.notes, metrics, config.out)
    return int(any(each.missing or each.failed or each.unscored or each.without_map for each in scores))


def _metrics(config: Evaluate) -> tuple[str, ...]:
    """Return the names of the scores that were asked for."""
    from segdistill.evaluation import METRICS, OF_MASKS
    from segdistill.evaluation.metrics import find_metric

    chosen = [find_metric(name) for name in config.metrics]
    lacking = [metric.name for metric in chosen if metric.needs_probability]
    if lacking and config.probabilities is None:
        raise ConfigError(f"--metrics {' '.join(lacking)} needs probability maps. Name their folder: --probabilities.")
    every = OF_MASKS if config.probabilities is None else tuple(METRICS)
    return tuple(metric.name for metric in chosen) or every


def _groups(path: Path | None) -> Mapping[str, str] | None:
    from segdistill.evaluation import read_groups

    return None if path is None else read_groups(path)


def _print_scores(rows: "Sequence[Record]", metrics: Sequence[str]) -> None:
    """Print every score over fields; where fields have groups, over groups, and each group's own mean."""
    from segdistill.evaluation import by_group, spreads

    grouped = any("group" in row for row in rows)
    lines = spreads(by_group(rows))
    _print_spreads(lines, "groups" if grouped else "fields")
    if grouped:
        _print_groups(rows, metrics)
    first = {line.structure: line for line in reversed(spreads(rows))}
    for line in reversed(first.values()):
        for side, count in line.empties.items():
            if side in _SIDES:
                print(f"{line.structure}, fields in which {_SIDES[side]}: {count}")


def _print_spreads(lines: "Sequence[Spread]", units: str) -> None:
    from segdistill.evaluation import METRICS

    several = len({line.structure for line in lines}) > 1
    rows = [
        (
            f"{line.structure} {line.metric}" if several else line.metric,
            f"{line.mean:.3f}" + ("" if line.sd is None else f" ± {line.sd:.3f}"),
            "" if line.interval is None else f"{line.interval.low:.3f} to {line.interval.high:.3f}",
            f"{line.worst[1]:.3f}",
            line.worst[0],
            line.unit,
            "higher" if METRICS[line.metric].higher_is_better else "lower",
        )
        for line in lines
    ]
    counts = sorted({line.fields for line in lines})
    title = f"{'Scores' if several else lines[0].structure}, {units}: {' to '.join(map(str, counts))}"
    heads = ("score", "mean ± sd", "95 % of the mean", "worst", f"of {units[:-1]}", "unit", "better")
    show(title, heads, rows, numbers=("worst",))


def _print_groups(rows: "Sequence[Record]", metrics: Sequence[str]) -> None:
    """Print the mean of every group over its fields."""
    from segdistill.evaluation import by_group, score_tables

    tables = score_tables(by_group(rows))
    structures = list(dict.fromkeys(structure for _, structure, _ in tables))
    fields = Counter(group for _, group in {(row["field"], row.get("group", "")) for row in rows})
    lines = []
    for structure in structures:
        means = {
            metric: dict(zip(table.fields, table.values.mean(axis=0).tolist(), strict=True))
            for (_, name, metric), table in tables.items()
            if name == structure
        }
        for group in sorted({group for each in means.values() for group in each}):
            cells = [f"{means[metric][group]:.3f}" if metric in means else "" for metric in metrics]
            lines.append((structure, group, str(fields[group]), *cells))
    show("Means of groups", ("structure", "group", "fields", *metrics), lines, numbers=("fields", *metrics))


def _print_clips(scores: "Sequence[ClipScore]") -> None:
    """Print how steady the masks of clips are: the mean over clips, and the worst clip."""
    lines = []
    for structure in dict.fromkeys(score.structure for score in scores):
        own = [score for score in scores if score.structure == structure]
        worst = min(own, key=lambda score: score.found.score)
        means = (
            _mean([score.found.score for score in own]),
            _mean([score.found.prediction for score in own]),
            _mean([score.found.label for score in own]),
        )
        lines.append((structure, str(len(own)), *means, f"{worst.found.score:.3f}", worst.clip))
    if lines:
        heads = ("structure", "clips", "consistency", "prediction to next", "label to next", "worst", "of clip")
        show("Clips: how steady masks are, beside the labels", heads, lines, numbers=heads[1:6])


def _mean(values: "Sequence[float | None]") -> str:
    known = [value for value in values if value is not None]
    return f"{sum(known) / len(known):.3f}" if known else "-"


def _print_notes(notes: Sequence[str], metrics: Sequence[str], out: Path | None) -> None:
    """Say the unit of lengths, where there are any, and where the conventions are."""
    from segdistill.evaluation import CONVENTIONS, METRICS, conventions_path

    if any(METRICS[name].is_length or METRICS[name].has_tolerance for name in metrics):
        for note in notes:
            print(note)
    if out is not None:
        print(f"What the scores are, and what holds where something is empty or missing: see {conventions_path(out)}.")
        return
    print("What holds where something is empty, missing or not finite:")
    print(*(f"  {each.situation}: {each.rule}" for each in CONVENTIONS), sep="\n")
    print("What the scores are: --out FILE.csv writes that, and this, beside the scores.")


def _print_account(scores: "FolderScores") -> None:
    """Say what was missing, unusable and inferred."""
    from segdistill.data.case import shown

    if scores.missing:
        print(f"Labels without a prediction, which have the worst scores: {len(scores.missing)}")
        print(f"  {shown(scores.missing, most=20)}")
    _print_reasons("Predictions that cannot be used, whose labels have the worst scores", scores.failed)
    _print_reasons("Labels without a usable probability map, whose calibration is the worst", scores.without_map)
    _print_reasons("Labels that cannot be used and are in no mean", scores.unscored)
    if scores.alone:
        print(f"Predictions without a label: {len(scores.alone)}\n  {shown(scores.alone, most=20)}")
    for structure, reliability in scores.reliability.items():
        _print_reliability(structure, reliability)
    for note in scores.notes:
        print(note)


def _print_reliability(structure: str, reliability: "Reliability") -> None:
    """Print the reliability table of all fields together, empty bins too."""
    from segdistill.evaluation import expected_calibration_error, reliability_table

    rows = [
        (
            f"{each.low:.3f} to {each.high:.3f}",
            str(each.pixels),
            *("-" if value is None else f"{value:.3f}" for value in (each.probability, each.foreground)),
        )
        for each in reliability_table(reliability)
    ]
    title = f"Reliability of {structure}, all pixels together: calibration error"
    heads = ("probability", "pixels", "mean probability", "share of foreground")
    show(f"{title} {expected_calibration_error(reliability):.3f}", heads, rows, numbers=heads[1:])


def _print_reasons(what: str, reasons: Mapping[str, str]) -> None:
    if reasons:
        print(f"{what}: {len(reasons)}", *(f"{name}: {reason}" for name, reason in reasons.items()), sep="\n  ")
