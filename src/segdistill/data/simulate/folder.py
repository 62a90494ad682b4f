"""The folder of a simulated data set: what it was made with, and which seed each of its parts has."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from segdistill.errors import ConfigError
from segdistill.files import write_json


def field_seed(seed: int, index: int) -> int:
    """Return the seed of one field or clip of a data set.

    Data sets with different seeds share no field, as they would if the index were added.

    >>> field_seed(0, 1) == field_seed(1, 0)
    False
    """
    return int(np.random.SeedSequence((seed, index)).generate_state(1, np.uint64)[0])


def claim(folder: Path, name: str, record: Mapping[str, object], *, what: str) -> None:
    """Note what a folder is for, or go on in it.

    Args:
        folder: Made if absent.
        name: Of the file that says what it was made with.
        record: That.
        what: It holds, for messages.

    Raises:
        ConfigError: It is for something else.
    """
    path = folder / name
    if path.exists():
        if json.loads(path.read_text(encoding="utf-8")) != json.loads(json.dumps(record)):
            raise ConfigError(f"{folder} holds {what} of other settings (see {path}). Choose a new folder.")
    elif folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"{folder} holds other files. Choose a new or an empty folder for {what}.")
    else:
        write_json(path, dict(record))
