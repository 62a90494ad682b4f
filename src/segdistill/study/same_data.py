"""What images and labels a run is of. Results of others in the same folder would be told as theirs (FAULTS R36)."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from segdistill.errors import ConfigError
from segdistill.files import sha256_array, write_json
from segdistill.settings.run_folder import DATA_FILE, is_bare
from segdistill.study.preparation import Prepared

_SHOWN = 3


def field_hashes(prepared: Prepared) -> dict[str, str]:
    """Return, by case, a hash of its pixels, labels, ignored regions, pixel size, group and part of the split."""
    part_of = {name: part for part, names in prepared.split.items() for name in names}
    hashes = {}
    for name, sample in sorted(prepared.samples.items()):
        facts = [
            *(sha256_array(array) for array in (sample.image.array, sample.planes, sample.counts)),
            *(sample.known.tolist(), sample.image.pixel_size, prepared.groups[name], part_of.get(name)),
        ]
        hashes[name] = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
    return hashes


def without_lost_data(may_change: frozenset[str], data: Path) -> frozenset[str]:
    """Return which settings may change, the place of the data only where something is: else nothing can be compared.

    Args:
        may_change: With "data" among them.
        data: Where they are said to be.
    """
    return may_change if data.exists() else may_change - {"data"}


def claim_data(folder: Path, hashes: Mapping[str, str]) -> None:
    """Keep in a run's folder what data it is of, or refuse those that it is not of.

    A folder in which nothing was made yet takes the data as they are now, and so does one that was begun before this
    was kept.

    Args:
        folder: Held by this process.
        hashes: From ``field_hashes``.

    Raises:
        ConfigError: Images or labels changed, came or went since the run was begun; some are named.
    """
    record = folder / DATA_FILE
    before = json.loads(record.read_text(encoding="utf-8")) if record.exists() and not is_bare(folder) else hashes
    changes = {
        "changed, or their labels or groups did": [
            name for name in hashes if before.get(name, hashes[name]) != hashes[name]
        ],
        "are new": [name for name in hashes if name not in before],
        "are gone": [name for name in before if name not in hashes],
    }
    if any(changes.values()):
        told = "; ".join(f"{len(names)} {what} ({_some(names)})" for what, names in changes.items() if names)
        raise ConfigError(
            f"{folder} was begun with other data: of its images {told}. Choose a new folder for --out, or put back the"
            " data that began this one."
        )
    write_json(record, dict(hashes))


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (" …" if len(names) > _SHOWN else "")
