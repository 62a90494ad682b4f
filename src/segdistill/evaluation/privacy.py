"""Scores without the names of fields and groups."""

from collections.abc import Iterable, Mapping, Sequence

from segdistill.data.case import shown
from segdistill.data.coco import SUFFIX
from segdistill.data.pseudonyms import group_pseudonyms, pseudonyms
from segdistill.errors import ConfigError
from segdistill.evaluation.pairing import Pair
from segdistill.evaluation.summary import Record


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


def with_pseudonyms(
    rows: Sequence[Record], names: Mapping[str, str], groups: Mapping[str, str] | None
) -> tuple[Record, ...]:
    """Return rows whose fields and groups are pseudonyms.

    Args:
        rows: Of scores.
        names: Field to pseudonym; see ``pseudonyms_of``.
        groups: Field to the group that the rows name. None: they name none.

    >>> row = {"structure": "cell", "metric": "dice", "value": 0.5, "empty": "", "arm": "a", "seed": 0}
    >>> names, groups = {"A01": "image-0123456789"}, {"A01": "Ann"}
    >>> (made,) = with_pseudonyms([{**row, "field": "A01", "group": "Ann"}], names, groups)
    >>> made["field"], made["group"]
    ('image-0123456789', 'group-0123456789')
    """
    if groups is None:
        return tuple(Record(**{**row, "field": names[row["field"]]}) for row in rows)
    own = group_pseudonyms({name: groups[name] for name in names if name in groups}, names)
    return tuple(Record(**{**row, "field": names[row["field"]], "group": own[groups[row["field"]]]}) for row in rows)
