"""The first sheet of an xlsx workbook as text."""

import re
import zipfile
import zlib
from pathlib import Path
from xml.etree import ElementTree as Xml

from segdistill.errors import DataError

_MOST = 20 * 2**20
"""No part of a workbook that lists images is longer, bytes."""

_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_CELL = re.compile(r"([A-Z]+)\d+")


def read_sheet(path: Path) -> list[dict[str, str]]:
    """Return the rows of a workbook's first sheet below its heads, as head to text; empty cells are left out.

    Raises:
        DataError: It is no workbook, is damaged, or declares entities, with which XML can be made to grow
            without bounds.
    """
    try:
        return _rows(path)
    except DataError:
        raise
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        OSError,
        ValueError,
        RuntimeError,
        LookupError,
        Xml.ParseError,
    ) as error:
        raise DataError(f"{path} is no xlsx workbook, or is damaged: {error}. Get it again.") from error


def _rows(path: Path) -> list[dict[str, str]]:
    with zipfile.ZipFile(path) as archive:
        strings = "xl/sharedStrings.xml"
        shared = _strings(_part(archive, strings, path)) if strings in archive.namelist() else []
        sheet = _part(archive, "xl/worksheets/sheet1.xml", path)
    lines = [
        {_column(cell): text for cell in row.iter(f"{_MAIN}c") if (text := _value(cell, shared))}
        for row in sheet.iter(f"{_MAIN}row")
    ]
    if not lines:
        return []
    heads, *rows = lines
    return [{heads[column]: text for column, text in row.items() if column in heads} for row in rows if row]


def _part(archive: zipfile.ZipFile, name: str, path: Path) -> Xml.Element:
    with archive.open(name) as handle:
        content = handle.read(_MOST + 1)
    if len(content) > _MOST or b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise DataError(f"{path}: {name} is too long or declares entities. It is not read.")
    return Xml.fromstring(content)  # noqa: S314  (without entities, and no longer than it is)


def _strings(root: Xml.Element) -> list[str]:
    return ["".join(text.text or "" for text in each.iter(f"{_MAIN}t")) for each in root.iter(f"{_MAIN}si")]


def _value(cell: Xml.Element, shared: list[str]) -> str:
    inline = "".join(text.text or "" for text in cell.iter(f"{_MAIN}t"))
    value = cell.findtext(f"{_MAIN}v") or inline
    return shared[int(value)].strip() if cell.get("t") == "s" and value else value.strip()


def _column(cell: Xml.Element) -> str:
    match = _CELL.fullmatch(cell.get("r", ""))
    return match[1] if match else ""
