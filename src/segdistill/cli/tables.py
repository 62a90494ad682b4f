"""Printing tables: ruled on a terminal, plain text elsewhere."""

import sys
from collections.abc import Sequence

Row = Sequence[str]


def show(title: str, columns: Row, rows: Sequence[Row], *, numbers: Sequence[str] = ()) -> None:
    """Print a table to standard output.

    On a terminal it is ruled and its cells wrap to the width; elsewhere columns are aligned with
    blanks and every row stays on its line, for other programs.

    Args:
        title: Above the table.
        columns: Heads.
        rows: As many cells as there are columns. The first column is never wrapped.
        numbers: Heads of columns that are aligned to the right.
    """
    print(_ruled(title, columns, rows, numbers) if sys.stdout.isatty() else _plain(title, columns, rows, numbers))


def _ruled(title: str, columns: Row, rows: Sequence[Row], numbers: Sequence[str]) -> str:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for place, column in enumerate(columns):
        table.add_column(column, justify="right" if column in numbers else "left", no_wrap=place == 0)
    for row in rows:
        table.add_row(*map(Text, row))  # Text: a name such as [red] is no markup
    console = Console()
    with console.capture() as captured:
        console.print(table)
    return captured.get().rstrip("\n")


def _plain(title: str, columns: Row, rows: Sequence[Row], numbers: Sequence[str]) -> str:
    """Return a table as text.

    >>> print(_plain("Students", ["name", "size"], [["unet-tiny", "7"], ["unet-resnet18", "14"]], ["size"]))
    Students
    name           size
    unet-tiny         7
    unet-resnet18    14
    """
    widths = [max(len(row[place]) for row in (columns, *rows)) for place in range(len(columns))]
    lines = [
        "  ".join(
            cell.rjust(width) if head in numbers else cell.ljust(width)
            for cell, head, width in zip(row, columns, widths, strict=True)
        ).rstrip()
        for row in (columns, *rows)
    ]
    return "\n".join([title, *lines])
