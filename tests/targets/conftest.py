"""A teacher without a network, and images to show it."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from segdistill.data.image import Image
from segdistill.data.labels import Structure
from segdistill.data.normalisation import FullRangeRule
from segdistill.data.sample import Sample
from segdistill.targets import Filling, create_store, new_header
from segdistill.teachers.contract import NO_HINT, Contract

CONTRACT = Contract(
    name="fake",
    channels=("nucleus", "membrane"),
    rule=FullRangeRule(),
    outputs=("cell", "cell.boundary"),
    weights_sha256="f" * 64,
    licence="MIT",
    tokens={"mean": (8, 6)},
)


@dataclass
class FakeTeacher:
    """Probability = mean of the channels, and its square: a function of each pixel alone."""

    contract: Contract = CONTRACT
    seen: list = field(default_factory=list)
    fails_on: frozenset = frozenset()

    def maps(self, image, hint=NO_HINT):
        self.seen.append(hint.case)
        if hint.case in self.fails_on:
            raise RuntimeError("no convergence")
        mean = image.mean(axis=0)
        return np.stack([mean, mean**2]).astype(np.float32)

    def tokens(self, image, names):
        rows = image.mean(axis=0)[::8, ::8]
        return {name: rows[..., None] * np.arange(-2.0, 4.0, dtype=np.float32) for name in names}


def sample(name, seed, shape=(24, 36), **parts):
    draw = np.random.default_rng(seed)
    array = draw.integers(0, 256, (2, *shape), dtype=np.uint8)
    labels = np.zeros((1, *shape), np.int32)
    labels[0, 2:9, 3:14] = seed + 1
    whole = Sample(
        name,
        Image(array, ("nucleus", "membrane"), parts.pop("pixel_size", None), f"{name}.tif"),
        labels,
        np.array([True]),
        np.ones(shape, bool),
    )
    return replace(whole, **parts)


@pytest.fixture(scope="session")
def make_sample():
    return sample


@pytest.fixture(scope="session")
def make_teacher():
    """A teacher whose contract differs in what is named."""

    def make(fails_on=(), **changes):
        return FakeTeacher(replace(CONTRACT, **changes), fails_on=frozenset(fails_on))

    return make


@pytest.fixture
def teacher():
    return FakeTeacher()


@pytest.fixture
def samples():
    return {f"field{number}": sample(f"field{number}", number) for number in range(7)}


@pytest.fixture
def filling(teacher, samples):
    return Filling(
        teachers=[teacher], names=list(samples), read=samples.__getitem__, structures=(Structure("cell", True),)
    )


@pytest.fixture
def store(tmp_path, teacher):
    return create_store(tmp_path / "store", new_header(teacher.contract))
