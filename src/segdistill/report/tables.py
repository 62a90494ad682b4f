"""Tables as CSV files that the page carries inside itself."""

import base64
import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Integral

from segdistill.files import neutral_cell

Cell = str | int | float | None
"""Text, a number, or an empty cell."""


@dataclass(frozen=True)
class Download:
    """A CSV file inside a link."""

    name: str
    """File name offered to the reader."""

    uri: str
    """The file as a ``data:`` address."""


def csv_download(name: str, header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Download:
    """Return a table as a CSV file in a link.

    Args:
        name: File name, without folder and ending.
        header: Names of the columns.
        rows: Text, numbers (written with all their digits) and None (an empty cell).

    Returns:
        UTF-8 with a byte-order mark, so that spreadsheets read it rightly. Text that a spreadsheet would
        take for a formula is neutralised; numbers are not, so a negative number stays one.

    >>> csv_download("scores", ["arm", "Dice"], [["=cmd", -0.5]]).uri[:40]
    'data:text/csv;charset=utf-8;base64,77u/Y'
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([neutral_cell(cell) for cell in header])
    for row in rows:
        writer.writerow([_cell(cell) for cell in row])
    code = base64.b64encode(text.getvalue().encode("utf-8-sig", errors="backslashreplace")).decode("ascii")
    return Download(f"{name}.csv", f"data:text/csv;charset=utf-8;base64,{code}")


def _cell(value: Cell) -> str:
    if isinstance(value, str):
        return neutral_cell(value)
    if value is None:
        return ""
    return str(int(value)) if isinstance(value, Integral) else repr(float(value))
