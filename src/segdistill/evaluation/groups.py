"""Which group (a patient, a slide) each field belongs to, from a CSV file, and means by group."""

import csv
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path

from segdistill.data.case import shown
from segdistill.errors import DataError
from segdistill.evaluation.summary import Record

COLUMNS = ("field", "group")


def read_groups(path: Path) -> dict[str, str]:
    """Return field to group.

    Args:
        path: CSV file with the columns field (the label's path in its folder, without suffix) and
            group; it may have others, and fields that are not scored.

    Raises:
        DataError: The file cannot be read, lacks a column, or has a field without a group or in two.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as handle:
            reader = csv.DictReader(handle)
            columns, lines = reader.fieldnames or (), [(reader.line_num, line) for line in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as a CSV file in UTF-8: {error}") from error
    lacking = [column for column in COLUMNS if column not in columns]
    if lacking:
        raise DataError(
            f"{path} has the columns {', '.join(columns) or 'none'}; {' and '.join(lacking)} must be among them."
        )
    groups: dict[str, str] = {}
    for number, line in lines:
        name, group = (unicodedata.normalize("NFC", (line[column] or "").strip()) for column in COLUMNS)
        if not name or not group:
            raise DataError(f"{path}, line {number}: a field or its group is not named. Name both, or drop the line.")
        if groups.setdefault(name, group) != group:
            raise DataError(f"{path}, line {number}: {name!r} is in group {groups[name]!r} already. Keep one.")
    return groups


def with_groups(rows: Iterable[Record], groups: Mapping[str, str]) -> tuple[Record, ...]:
    """Return rows that say their group.

    Raises:
        DataError: A scored field has no group.

    >>> row = {"structure": "cell", "metric": "dice", "value": 0.5, "empty": "", "arm": "a", "seed": 0}
    >>> with_groups([{**row, "field": "A01"}], {"A01": "plate1"})[0]["group"]
    'plate1'
    """
    rows = tuple(rows)
    lacking = sorted({row["field"] for row in rows} - set(groups))
    if lacking:
        raise DataError(
            f"{len(lacking)} fields have no group: {shown(lacking, most=5)}. Add a line for each: its name, as here,"
            " and its group."
        )
    return tuple(Record(**{**row, "group": groups[row["field"]]}) for row in rows)


def by_group(rows: Iterable[Record]) -> tuple[Record, ...]:
    """Return rows whose unit is the group, so that a mean over them counts each group once.

    Rows without a group stay as they are. Fields of one patient or slide are alike; an interval over
    fields would take them for independent, and would be too narrow.

    >>> row = {"structure": "cell", "metric": "dice", "value": 0.5, "empty": "", "arm": "a", "seed": 0}
    >>> by_group([{**row, "field": "A01", "group": "plate1"}])[0]["field"]
    'plate1'
    """
    return tuple(Record(**{**row, "field": row.get("group", row["field"])}) for row in rows)
