"""Scores without the names of fields and groups."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from segdistill.data.case import shown
from segdistill.data.coco import SUFFIX
from segdistill.data.pseudonyms import group_pseudonyms, pseudonyms
from segdistill.errors import ConfigError
from segdistill.evaluation.folders import FolderScores
from segdistill.evaluation.pairing import Pair
from segdistill.evaluation.summary import Record

HIDDEN = "cannot be used; the reason, which names its file, was told when it was scored"
"""What is written in place of a reason."""


def pseudonyms_of(pairs: Iterable[Pair]) -> dict[str, str]:
    """Return name of a field to pseudonym: that of its image, or, where none was named, of its label.

    Args:
        pairs: Of all structures; of several pairs of one name the first decides.

    Raises:
        ConfigError: A label lies in a COCO file, so that it has no file of its own, and no image is named.
        DataError: A file cannot be read.
    """
    first: dict[str, Pair] = {}
    for pair in pairs:
        first.setdefault(pair.name, pair)
    images = {name: pair.image for name, pair in first.items() if pair.image is not None}
    labels = {name: pair.label for name, pair in first.items() if pair.image is None}
    nameless = [name for name, path in labels.items() if path.suffix == SUFFIX]
    if nameless:
        raise ConfigError(
            f"--private makes pseudonyms of files, but {len(nameless)} labels lie in a COCO file and have none of their"
            f" own: {shown(nameless, most=5)}. Name the folder of their images: --images."
        )
    return {**pseudonyms(images), **pseudonyms(labels, kind="label")}


def without_names(scores: FolderScores, names: Mapping[str, str], groups: Mapping[str, str] | None) -> FolderScores:
    """Return scores, to be written, that name no field, group or file; reasons, which name files, are told elsewhere.

    Args:
        scores: Of one structure.
        names: Field to pseudonym; see ``pseudonyms_of``.
        groups: Field to the group that the rows name. None: they name none.

    >>> row = {"structure": "cell", "metric": "dice", "value": 0.5, "empty": "", "arm": "a", "seed": 0}
    >>> scores = FolderScores(({**row, "field": "A01", "group": "Ann"},), failed={"A01": "Ann/A01.tif is damaged."})
    >>> hidden = without_names(scores, {"A01": "image-0123456789"}, {"A01": "Ann"})
    >>> hidden.rows[0]["field"], hidden.rows[0]["group"], *hidden.failed
    ('image-0123456789', 'group-0123456789', 'image-0123456789')
    """
    own = group_pseudonyms({name: group for name, group in (groups or {}).items() if name in names}, names)
    rows = tuple(
        Record(**{**row, "field": names[row["field"]], **({"group": own[row["group"]]} if "group" in row else {})})
        for row in scores.rows
    )
    failed, unscored, without_map = (
        {names[name]: HIDDEN for name in reasons} for reasons in (scores.failed, scores.unscored, scores.without_map)
    )
    return replace(
        scores,
        rows=rows,
        missing=tuple(names[name] for name in scores.missing),
        failed=failed,
        unscored=unscored,
        without_map=without_map,
        alone=(),
        notes=(),
    )
