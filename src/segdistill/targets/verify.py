"""Checking a store: every record's bytes, and a few records against the teacher itself."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from segdistill.targets.fill import Arrays, describe
from segdistill.targets.filling import Filling
from segdistill.targets.look import field_of
from segdistill.targets.quantise import load_maps, token_cosine
from segdistill.targets.record import Key
from segdistill.targets.store import MAPS, TargetStore, image_key

TOLERANCE = 0.01
"""Probabilities may differ by this between machines, thread counts and devices, beside the error of storing."""


@dataclass(frozen=True)
class Verification:
    """What checking a store found."""

    records: int
    """In the store."""

    damaged: tuple[Key, ...]
    """Whose bytes are not as they were written. Filling makes them again."""

    recomputed: int
    """Images whose maps and tokens were made again and compared."""

    differing: tuple[tuple[str, float], ...]
    """Cases whose maps or tokens are not what the teacher says now, and by how much."""

    largest: float
    """Largest difference of a probability among the compared, or of a token's cosine to 1."""

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.damaged and not self.differing


def verify_targets(store: TargetStore, filling: Filling, *, share: float = 0.01, seed: int = 0) -> Verification:
    """Compare every record's checksum, and recompute a share of the maps and tokens, at least one image's.

    Args:
        store: An open store.
        filling: The teachers and cases it was filled with. Cases without a sound record are not
            recomputed; filling says which they are.
        share: Of the cases, 0…1.
        seed: Of the choice of cases.

    Raises:
        ConfigError: The teachers are not the store's.
    """
    filling.check(store.header)
    store.refresh()
    keys = store.keys()
    damaged = tuple(key for key in keys if not store.has(key))
    described = store.described()
    names = [name for name in filling.names if name in described]
    count = min(len(names), max(1, round(share * len(names))))
    differing: list[tuple[str, float]] = []
    largest = 0.0
    for place in np.random.default_rng(seed).permutation(len(names))[:count]:
        difference = _difference(store, filling, names[place])
        largest = max(largest, difference)
        if difference > TOLERANCE:
            differing.append((names[place], difference))
    return Verification(len(keys), damaged, count, tuple(differing), largest)


def _difference(store: TargetStore, filling: Filling, name: str) -> float:
    """Return the largest difference between what is stored and what is said now; 1 where the image has no record."""
    sample = filling.read(name)
    key = Key(image_key(sample.image))
    if not store.has(key):
        return 1.0  # the case is another picture than when it was described
    teacher = filling.teachers[filling.fold(name)]
    arrays, _ = describe(teacher, field_of(teacher, sample, filling.structures), store.header, 0)
    found = store.get(key)
    stored, now = (load_maps(np.asarray(each[MAPS])) for each in (found, arrays))
    if stored.shape != now.shape:
        return 1.0
    tokens = max((_turned(store.tokens(key, name), _part(arrays, name)) for name in store.header.tokens), default=0.0)
    return max(float(np.abs(stored - now).max(initial=0)), tokens)


def _part(arrays: Arrays, name: str) -> Arrays:
    return {array.removeprefix(f"{name}/"): value for array, value in arrays.items() if array.startswith(f"{name}/")}


def _turned(stored: Float32[np.ndarray, "y x d"], now: Arrays) -> float:
    """Return by how much the least similar token's cosine is below 1; 1 where the grids differ."""
    return 1 - token_cosine(stored, now) if stored.shape == now["values"].shape else 1.0
