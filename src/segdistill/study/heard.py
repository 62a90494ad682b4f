"""What a run keeps of its teachers: by which weights they spoke, so that no other teacher goes on under their name."""

import json
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from segdistill.errors import ConfigError
from segdistill.files import write_json
from segdistill.settings.run_folder import HEARD_FOLDER, SETTINGS_FILE, is_bare
from segdistill.teachers.contract import Contract

WEIGHTS = "weights_sha256"
LENT, OTHER_GROUPS = "shuffled_channels_from", "other groups"


def claim_teacher(run: Path, name: str, contracts: Sequence[Contract]) -> None:
    """Keep in a run's folder by which weights a teacher speaks, or refuse others: two would be told as one.

    A folder in which nothing was made yet takes the teacher as it is now, and so does one that was begun before this
    was kept.

    Args:
        run: Folder of the run, in which nobody else claims this teacher at the same time.
        name: What the run calls it.
        contracts: The teacher's; or one per fold.

    Raises:
        ConfigError: What was made in this folder was taught by other weights; both hashes are named.
    """
    kept = _kept(run, name)
    now = [contract.weights_sha256 for contract in contracts]
    before = now if is_bare(run) else kept.get(WEIGHTS, now)
    differing = [pair for pair in zip_longest(before, now, fillvalue="none") if pair[0] != pair[1]]
    if differing:
        there, here = differing[0]
        raise ConfigError(
            f"The {name} {contracts[0].name!r} taught what is in {run} with weights of SHA-256 {there}, but now they"
            f" have {here}. Runs of two teachers would be told as those of one. Put back its files as they were, or"
            " choose a new folder for --out."
        )
    _keep(run, name, {WEIGHTS: now})


def is_shuffled_by_groups(run: Path, name: str) -> bool:
    """Return whether a run's folder says that a teacher was lent channels by images of other groups alone."""
    return _kept(run, name).get(LENT) == OTHER_GROUPS


def keep_shuffled_by_groups(run: Path, name: str) -> None:
    """Keep in a run's folder that a teacher is lent channels by images of other groups alone."""
    _keep(run, name, {LENT: OTHER_GROUPS})


def _record(run: Path, name: str) -> Path:
    return run / HEARD_FOLDER / name / SETTINGS_FILE


def _kept(run: Path, name: str) -> dict[str, Any]:
    """Return what is kept of a teacher; nothing where nothing was, as in folders of earlier versions."""
    record = _record(run, name)
    return json.loads(record.read_text(encoding="utf-8")) if record.exists() else {}


def _keep(run: Path, name: str, facts: Mapping[str, Any]) -> None:
    """Add to what is kept of a teacher."""
    record = _record(run, name)
    record.parent.mkdir(parents=True, exist_ok=True)
    write_json(record, _kept(run, name) | dict(facts))
