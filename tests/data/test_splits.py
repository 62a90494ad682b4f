from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from segdistill.data.case import SPLITS, Case
from segdistill.data.splits import equal_content, split_cases
from segdistill.errors import ConfigError, DataError

law = settings(deadline=None, max_examples=100)
shares = st.sampled_from([(0.7, 0.15, 0.15), (0.8, 0.2, 0.0), (1.0, 0.0, 0.0), (0.34, 0.33, 0.33), (0.5, 0.0, 0.5)])
groups = st.lists(st.integers(1, 6), min_size=3, max_size=25)  # how many cases each group has
seeds = st.integers(0, 2**31)


def case(name, group=None, split=None, image=None):
    return Case(name, image or Path(name), {}, None, None, group or name, split)


def grouped(sizes):
    return [case(f"{group}/{index}", f"g{group}") for group, size in enumerate(sizes) for index in range(size)]


def names(parts):
    return {split: [each.name for each in cases] for split, cases in parts.items()}


@law
@given(groups, shares, seeds)
def test_every_case_is_in_one_split_and_every_group_whole(sizes, fractions, seed):
    cases = grouped(sizes)
    parts = split_cases(cases, fractions=fractions, seed=seed)
    assert list(parts) == list(SPLITS)
    assert sorted(each.name for part in parts.values() for each in part) == sorted(each.name for each in cases)
    homes = [{each.group for each in part} for part in parts.values()]
    assert sum(map(len, homes)) == len(set.union(*homes))
    assert [bool(home) for home in homes] == [share > 0 for share in fractions]


@law
@given(groups, shares, seeds)
def test_the_order_of_the_cases_does_not_matter(sizes, fractions, seed):
    cases = grouped(sizes)
    shuffled = [cases[index] for index in np.random.default_rng(seed).permutation(len(cases))]
    one, other = (split_cases(each, fractions=fractions, seed=seed) for each in (cases, shuffled))
    assert all(set(names(one)[split]) == set(names(other)[split]) for split in SPLITS)


@law
@given(groups, shares, seeds)
def test_shares_are_met_as_well_as_groups_permit(sizes, fractions, seed):
    # Groups go to whoever lacks most, so nobody is ahead by more than one group; one group may move to an empty split.
    parts = split_cases(grouped(sizes), fractions=fractions, seed=seed)
    for split, share in zip(SPLITS, fractions, strict=True):
        assert abs(len(parts[split]) - share * sum(sizes)) <= 2 * max(sizes) + 1


def test_without_groups_shares_are_met_to_one_case():
    parts = split_cases([case(str(index)) for index in range(100)], fractions=(0.7, 0.15, 0.15), seed=3)
    assert [len(part) for part in parts.values()] == [70, 15, 15]


def test_another_seed_draws_another_split():
    cases = [case(str(index)) for index in range(40)]
    drawn = {tuple(names(split_cases(cases, fractions=(0.5, 0.25, 0.25), seed=seed))["test"]) for seed in range(5)}
    assert len(drawn) == 5


def test_given_splits_are_kept_and_their_groups_follow():
    cases = [case("a1", "a", "test"), case("a2", "a"), case("b", split="train"), case("c"), case("d")]
    for seed in range(5):
        parts = names(split_cases(cases, fractions=(0.5, 0.5, 0.0), seed=seed))
        assert parts["test"] == ["a1", "a2"]
        assert "b" in parts["train"]
        assert parts["validation"]


def test_where_all_is_given_nothing_is_drawn():
    cases = [case("a", split="train"), case("b", split="validation"), case("c", split="test")]
    for seed in range(3):
        assert names(split_cases(cases, fractions=(0.1, 0.1, 0.8), seed=seed)) == {
            "train": ["a"],
            "validation": ["b"],
            "test": ["c"],
        }


def test_a_group_in_two_splits_is_refused():
    with pytest.raises(DataError, match=r"1 group has cases in several splits: patient 7 \(test, train\)"):
        split_cases(
            [case("a", "patient 7", "train"), case("b", "patient 7", "test")], fractions=(0.5, 0.0, 0.5), seed=0
        )


def test_too_few_groups_are_refused_with_their_number():
    cases = [case(str(index), "slide 1") for index in range(20)]
    with pytest.raises(ConfigError, match=r"only 1 group without a split.*slide 1.*train or validation or test"):
        split_cases(cases, fractions=(0.7, 0.15, 0.15), seed=0)
    with pytest.raises(ConfigError, match="nothing is left for validation"):
        split_cases([case("a", split="train"), case("b", split="test")], fractions=(0.7, 0.15, 0.15), seed=0)
    with pytest.raises(ConfigError, match="no cases"):
        split_cases([], fractions=(1.0, 0.0, 0.0), seed=0)


def test_where_test_is_missing_it_is_said_that_a_few_labelled_images_are_needed_there():
    wanted = "give split test to a few images with labels"
    with pytest.raises(ConfigError, match=wanted):
        split_cases([case("a", split="train")], fractions=(0.7, 0.15, 0.15), seed=0)
    with pytest.raises(ConfigError) as raised:
        split_cases([case("a", split="train"), case("b", split="test")], fractions=(0.7, 0.15, 0.15), seed=0)
    assert wanted not in str(raised.value)  # there is a test image


@pytest.mark.parametrize("fractions", [(0.5, 0.5, 0.5), (0.7, 0.2, 0.0), (1.2, -0.2, 0.0), (float("nan"), 0.5, 0.5)])
def test_fractions_that_are_no_shares_are_refused(fractions):
    with pytest.raises(ConfigError, match="add up to 1"):
        split_cases([case("a")], fractions=fractions, seed=0)


PICTURE = np.random.default_rng(0).integers(0, 256, (30, 41)).astype(np.uint8)


def saved(folder, **arrays):
    """Write "name.suffix" given as name__suffix and return the cases."""
    cases = []
    for key, array in arrays.items():
        name, suffix = key.split("__")
        path = folder / f"{name}.{suffix}"
        if suffix == "tif":
            tifffile.imwrite(path, array)
        elif suffix == "npy":
            np.save(path, array)
        else:
            Pillow.fromarray(array).save(path)
        cases.append(case(name, image=path))
    return cases


def test_equal_pixels_are_found_whatever_the_file(tmp_path):
    cases = saved(
        tmp_path,
        a__png=PICTURE,
        b__tif=PICTURE,
        c__npy=PICTURE.astype(">u2"),
        d__png=np.repeat(PICTURE[..., None], 3, axis=2),
        e__png=PICTURE.T,
        f__png=PICTURE ^ 1,
        g__tif=PICTURE + np.uint16(256),
        h__tif=PICTURE[:-1],
    )
    assert equal_content(cases) == [("a", "b", "c", "d")]


def test_one_pixel_in_the_last_strip_makes_a_difference(tmp_path):
    tall = np.zeros((2500, 3), np.uint8)
    tall[0, 0] = 7
    other = tall.copy()
    other[-1, -1] = 1
    assert equal_content(saved(tmp_path, a__tif=tall, b__tif=other)) == []
    assert equal_content(saved(tmp_path, a__tif=tall, b__tif=tall, c__tif=other)) == [("a", "b")]


def test_files_that_do_not_state_their_axes_are_compared_too(tmp_path):
    stack = np.stack([PICTURE, PICTURE[::-1]])
    cases = saved(tmp_path, a__npy=stack, b__npy=stack)
    assert equal_content(cases, axes="cyx") == [("a", "b")]
