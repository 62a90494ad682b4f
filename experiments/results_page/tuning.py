"""How a protocol was chosen: whatever its tuning kept, as tables."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from results_page.words import listed, table
from segdistill.report.wording import as_percent


def tuning_section(path: Path, *, title: str, command: str, without: Sequence[str] = ()) -> list[str]:
    """Return the validation scores of a tuning.

    Args:
        path: JSON: names to values, and titles to tables of scores (choice to score, or choice to arm
            to score). A missing file gives no section.
        title: What was tuned, and when.
        command: Makes the file.
        without: Names in it that are for other scripts.
    """
    if not path.exists():
        return []
    kept = json.loads(path.read_text(encoding="utf-8"))
    content = {key: value for key, value in kept.items() if key not in without}
    plain = [f"{_words(key)} {value}" for key, value in content.items() if not isinstance(value, Mapping)]
    parts = [f"**{title}** (arms without a teacher; validation Dice %; {listed(plain)}; command: `{command}`)"]
    return [*parts, *(_scores(key, value) for key, value in content.items() if isinstance(value, Mapping))]


def _scores(title: str, scores: Mapping[str, float | Mapping[str, float]]) -> str:
    by_arm = {choice: own if isinstance(own, Mapping) else {"score": own} for choice, own in scores.items()}
    arms = sorted({arm for own in by_arm.values() for arm in own})
    rows = [[choice, *(as_percent(own.get(arm)) for arm in arms)] for choice, own in by_arm.items()]
    return table([_words(title), *arms], rows)


def _words(name: str) -> str:
    return name.replace("_", " ")
