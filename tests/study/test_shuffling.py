"""The control with a channel of another image: it is a stranger's, of another group."""

from pathlib import Path

import numpy as np
import pytest

from segdistill.data.datasets import Dataset
from segdistill.data.image import Image
from segdistill.data.sample import Sample
from segdistill.errors import ConfigError
from segdistill.study.preparation import Prepared
from segdistill.study.shuffling import reading


def sample(name, value, channels=("nucleus", "membrane")):
    planes = [np.full((4, 5), value if channel == "membrane" else 0, np.uint8) for channel in channels]
    image = Image(np.stack(planes), channels, None, name)
    return Sample(name, image, np.zeros((0, 4, 5), np.int32), np.zeros(0, bool), np.ones((4, 5), bool))


def prepared(groups, split, **more):
    samples = {name: sample(name, place, **more) for place, name in enumerate(groups, start=1)}
    nothing = Dataset((), (), None, None, Path())
    return Prepared(nothing, samples, split, groups, {}, ())


def partner_of(read, names, name):
    """Return whose membrane an image is shown with."""
    return names[int(read(name).image.array[1, 0, 0]) - 1]


def test_the_channel_is_that_of_another_group_of_the_same_split():
    groups = {"a1": "a", "a2": "a", "b1": "b", "c1": "c", "c2": "c", "d1": "d"}
    split = {"train": ("a1", "a2", "b1"), "test": ("c1", "c2", "d1")}
    read = reading(prepared(groups, split), ["membrane"])
    partners = {name: partner_of(read, list(groups), name) for name in groups}
    assert all(groups[name] != groups[partner] for name, partner in partners.items())
    assert partners == {"a1": "b1", "a2": "b1", "b1": "a1", "c1": "d1", "c2": "d1", "d1": "c1"}
    assert not read("a1").image.array[0].any()  # its own nucleus


def test_a_split_of_one_group_looks_beyond_and_one_group_in_all_is_refused():
    split = {"train": ("a1", "a2"), "test": ("b1",)}
    read = reading(prepared({"a1": "a", "a2": "a", "b1": "b"}, split), ["membrane"])
    assert partner_of(read, ["a1", "a2", "b1"], "a2") == "b1"
    with pytest.raises(ConfigError, match="all 2 are of 'a'"):
        reading(prepared({"a1": "a", "a2": "a"}, {"train": ("a1", "a2")}), ["membrane"])


def test_an_image_without_the_channel_is_refused_by_name():
    whole = prepared({"a": "a", "b": "b"}, {"train": ("a", "b")})
    whole.samples["b"] = sample("b", 0, channels=("nucleus",))
    with pytest.raises(ConfigError, match="b has no such channel"):
        reading(whole, ["membrane"])("a")
