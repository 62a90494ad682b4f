"""`segdistill evaluate`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from segdistill.cli.tables import show
from segdistill.errors import ConfigError
from segdistill.settings import Evaluate

if TYPE_CHECKING:
    from segdistill.evaluation import FolderScores, Spread

DEFAULTS = Evaluate()

_SIDES = {
    "both": "label and prediction are both empty (every score 1)",
    "label": "only the label is empty (every score 0)",
    "prediction": "only the prediction is empty (every score 0)",
}


def evaluate(predictions: Path, labels: Path, *, config: Annotated[Evaluate, Parameter(name="*")] = DEFAULTS) -> int:
    """Score masks against labels, whoever made them.

    A label without a prediction, or with one that cannot be used, has the worst scores. The exit
    status is 1 if there is such a label, or one that cannot be used itself.

    Args:
        predictions: Folder of masks, searched through, or one mask.
        labels: Folder of labels of the same stems, or one label.
        config: What the files mean, and where to write the scores.
    """
    from segdistill.evaluation import pair_up, score_folders, spreads, write_scores

    if config.out is not None and config.out.exists():
        raise ConfigError(f"{config.out} exists, and nothing is overwritten. Remove it or choose another --out.")
    scores = [
        score_folders(
            pair_up(predictions / place, labels / place, ignore=config.ignore, field_of_view=config.field_of_view),
            structure=place or config.structure,
            label_kind=config.label_kind,
            prediction_kind=config.prediction_kind,
        )
        for place in config.structures or ("",)
    ]
    if config.out is not None:
        write_scores(config.out, scores)
    _print_scores([line for each in scores for line in spreads(each.rows)])
    for each in scores:
        _print_account(each)
    return int(any(each.missing or each.failed or each.unscored for each in scores))


def _print_scores(lines: "Sequence[Spread]") -> None:
    several = len({line.structure for line in lines}) > 1
    rows = [
        (
            f"{line.structure} {line.metric}" if several else line.metric,
            f"{line.mean:.3f}" + ("" if line.sd is None else f" ± {line.sd:.3f}"),
            "" if line.interval is None else f"{line.interval.low:.3f} to {line.interval.high:.3f}",
            f"{line.lowest[1]:.3f}",
            line.lowest[0],
        )
        for line in lines
    ]
    counts = sorted({line.fields for line in lines})
    title = f"{'Scores' if several else lines[0].structure}, fields: {' to '.join(map(str, counts))}"
    show(title, ("score", "mean ± sd", "95 % of the mean", "lowest", "of field"), rows, numbers=("lowest",))
    for line in lines:
        for side, count in line.empties.items():
            if line.metric == "dice" and side in _SIDES:
                print(f"{line.structure}, fields in which {_SIDES[side]}: {count}")


def _print_account(scores: "FolderScores") -> None:
    """Say what was missing, unusable and inferred."""
    from segdistill.data.case import shown

    if scores.missing:
        print(f"Labels without a prediction, which have the worst scores: {len(scores.missing)}")
        print(f"  {shown(scores.missing, most=20)}")
    _print_reasons("Predictions that cannot be used, whose labels have the worst scores", scores.failed)
    _print_reasons("Labels that cannot be used and are in no mean", scores.unscored)
    if scores.alone:
        print(f"Predictions without a label: {len(scores.alone)}\n  {shown(scores.alone, most=20)}")
    for note in scores.notes:
        print(note)


def _print_reasons(what: str, reasons: Mapping[str, str]) -> None:
    if reasons:
        print(f"{what}: {len(reasons)}", *(f"{name}: {reason}" for name, reason in reasons.items()), sep="\n  ")
