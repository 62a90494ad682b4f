"""The log of a run: one JSON object per line, and never two lines for one step."""

import json
import math
from pathlib import Path
from typing import Any

from segdistill.files import append_line, settle, whole_file

NAME = "log.jsonl"


def append(folder: Path, line: dict[str, Any]) -> None:
    """Add a line to the log; a number that is not finite becomes null.

    Raises:
        EnvironmentFault: The line could not be written.
    """
    append_line(folder / NAME, json.dumps(_plain(line), allow_nan=False))


def keep(folder: Path) -> None:
    """Put the log on the disk: before a checkpoint is, so that no step which is kept lacks its line.

    Not after every line: for a small network, waiting for the disk took a twentieth of each step.

    Raises:
        EnvironmentFault: The disk did not take it.
    """
    if (folder / NAME).exists():
        settle(folder / NAME)


def read_log(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of a run's log, up to the first that was not written to its end.

    >>> read_log(Path("no such folder"))
    []
    """
    path = folder / NAME
    lines = []
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []:
        try:
            lines.append(json.loads(text))
        except json.JSONDecodeError:  # the disk was full, or the process died
            break
    return lines


def cut(folder: Path, step: int) -> None:
    """Drop what a run that is resumed at a step will log again.

    Args:
        folder: The run's.
        step: How many steps the checkpoint has done.

    Raises:
        EnvironmentFault: The shorter log could not be written; the longer one stays.
    """
    if not (folder / NAME).exists():
        return
    kept = [json.dumps(line) + "\n" for line in read_log(folder) if line["step"] <= step]
    with whole_file(folder / NAME) as partial:
        partial.write_text("".join(kept), encoding="utf-8")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(entry) for name, entry in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
