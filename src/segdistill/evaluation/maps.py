"""Probability maps in a folder: which belongs to which label, and its planes by structure."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from segdistill.data.labels import Structure
from segdistill.data.readers import read_image
from segdistill.errors import ConfigError, DataError
from segdistill.evaluation.pairing import Pairing
from segdistill.evaluation.sides import picture_files

ENDING = ".probabilities"
"""What ``segdistill predict --probabilities`` adds to a name."""


@dataclass(frozen=True)
class Map:
    """Where the probability map of a label is."""

    path: Path | None
    """None: there is none."""

    def read(self, structures: Sequence[Structure]) -> Shaped[np.ndarray, "k y x"]:
        """Return a plane for each structure, found by its name among the channels, or by being the only one.

        Raises:
            DataError: There is no map, it cannot be read, or has no channel of a structure's name.
        """
        if self.path is None:
            raise DataError("There is no probability map of this label.")
        image = read_image(self.path)
        names = [structure.name for structure in structures]
        if len(names) == len(image.channels) == 1:
            return image.array
        lacking = [name for name in names if name not in image.channels]
        if lacking:
            raise DataError(
                f"{self.path} has the channels {', '.join(image.channels)}, but no {' and no '.join(lacking)}."
                " Name its channels as the structures."
            )
        return image.array[[image.channels.index(name) for name in names]]


def find_maps(pairing: Pairing, probabilities: Path) -> dict[str, Map]:
    """Return the probability map of every label, by the label's name.

    Args:
        pairing: See ``pair_up``.
        probabilities: A folder, in which maps are called as labels are, with or without ".probabilities"; where
            any map is called with it, all others are no maps. Or one file, where there is one label.

    Raises:
        ConfigError: There is one file for several labels.
        DataError: There is no such folder, or it holds a map of no label.
    """
    if not probabilities.exists():
        raise DataError(f"There is no file or folder {probabilities}. Check --probabilities.")
    if not probabilities.is_dir():
        if len(pairing.pairs) > 1:
            raise ConfigError(
                f"{probabilities} is one file, but there are several labels. Name the folder of all maps."
            )
        return {pair.name: Map(probabilities) for pair in pairing.pairs}
    files = picture_files(probabilities)
    ended = {name.removesuffix(ENDING): path for name, path in files.items() if name.endswith(ENDING)}
    found = ended or files
    if not any(pair.name in found for pair in pairing.pairs):
        raise DataError(
            f"{probabilities} has no probability map of any label. A map is called as its label, with or without"
            f" {ENDING!r}."
        )
    return {pair.name: Map(found.get(pair.name)) for pair in pairing.pairs}
