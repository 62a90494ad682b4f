from pathlib import Path

import numpy as np
import pytest
import tifffile
from scipy.ndimage import gaussian_filter, zoom

from segdistill.data import likeness
from segdistill.data.case import Case
from segdistill.data.duplicates import joined_groups, near_duplicate_groups
from segdistill.data.readers import open_image
from segdistill.data.splits import split_cases


def scene(seed, shape=(150, 190)):
    """Return blobs on a bright, round field, the same field for every seed."""
    rows, columns = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    blobs = gaussian_filter(np.random.default_rng(seed).normal(size=shape), 3) * 400
    return np.where(rows**2 + columns**2 < 0.9, 900 + blobs, 20)


def saved(folder, pictures):
    cases = []
    for name, array in pictures.items():
        tifffile.imwrite(folder / f"{name}.tif", np.clip(array, 0, 65535).astype(np.uint16))
        cases.append(Case(name, folder / f"{name}.tif", {}, None, None, name, None))
    return cases


ALTERED = {
    "noise": lambda a: a + np.random.default_rng(9).normal(0, 10, a.shape),
    "brightness": lambda a: 3 * a + 100,
    "gamma": lambda a: (a / 1000) ** 0.7 * 1000,
    "half size": lambda a: zoom(a, 0.5),
    "cropped": lambda a: a[2:-1, 1:-2],
    "mirrored": lambda a: a[:, ::-1],
    "turned": np.rot90,
    "turned and mirrored": lambda a: np.rot90(a, 3)[::-1],
}


@pytest.mark.parametrize("kind", ALTERED)
def test_an_altered_copy_is_found_among_pictures_that_share_their_layout(tmp_path, kind):
    pictures = {f"field {seed}": scene(seed) for seed in range(12)}
    cases = saved(tmp_path, {**pictures, "copy": ALTERED[kind](scene(5))})
    assert near_duplicate_groups(cases) == [("field 5", "copy")]


def test_different_pictures_are_not_alike(tmp_path):
    cases = saved(tmp_path, {str(seed): scene(seed) for seed in range(20)})
    assert near_duplicate_groups(cases) == []


def test_likeness_is_passed_on(tmp_path):
    chain = {f"frame {step}": scene(0)[step : 140 + step] for step in range(0, 9, 2)}
    cases = saved(tmp_path, {**chain, **{str(seed): scene(seed)[:140] for seed in range(1, 12)}})
    assert near_duplicate_groups(cases) == [tuple(chain)]


@pytest.mark.parametrize("count", [2, 5])
def test_a_data_set_of_nothing_but_copies_is_one_group(tmp_path, count):
    copies = {str(index): scene(0) + np.random.default_rng(index).normal(0, 3, (150, 190)) for index in range(count)}
    assert near_duplicate_groups(saved(tmp_path, copies)) == [tuple(copies)]


def test_pictures_without_structure_are_not_compared(tmp_path):
    flat = {str(value): np.full((30, 40), value) for value in (0, 7, 900, 7.0)}
    assert near_duplicate_groups(saved(tmp_path, flat)) == []
    assert near_duplicate_groups(saved(tmp_path, {"alone": scene(0)})) == []
    assert near_duplicate_groups([]) == []


def test_tiny_pictures_and_broken_pixels_do_no_harm(tmp_path):
    cases = []
    for name, shape in (("a", (1, 1)), ("b", (1, 300)), ("c", (7, 13)), ("d", (7, 13))):
        array = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        array.flat[0] = np.nan
        np.save(tmp_path / f"{name}.npy", array)
        cases.append(Case(name, tmp_path / f"{name}.npy", {}, None, None, name, None))
    assert near_duplicate_groups(cases) == [("c", "d")]


def test_large_pictures_are_averaged_alike_band_by_band(tmp_path, monkeypatch):
    (case,) = saved(tmp_path, {"a": scene(0, shape=(256, 190))})  # bands of whole rows: 2 of 128
    with open_image(case.image) as opened:
        whole = likeness.small_picture(opened)
        monkeypatch.setattr(likeness, "_WHOLE", 1000)
        assert likeness.small_picture(opened) == pytest.approx(whole)


def case(name, group=None):
    return Case(name, Path(name), {}, None, None, group or name, None)


def test_groups_are_joined_wherever_their_cases_are_alike():
    cases = [case("a1", "a"), case("b1", "b"), case("b2", "b"), case("c1", "c"), case("d1", "d")]
    joined = joined_groups(cases, [("b2", "c1"), ("c1", "d1")])
    assert [each.group for each in joined] == ["a", "b", "b", "b", "b"]
    assert [each.name for each in joined] == [each.name for each in cases]
    assert joined_groups(cases, []) == tuple(cases)
    assert joined_groups([], []) == ()


def test_joined_copies_are_never_split(tmp_path):
    cases = [case(str(index)) for index in range(30)]
    joined = joined_groups(cases, [("3", "17", "22")])
    for seed in range(10):
        parts = split_cases(joined, fractions=(0.6, 0.2, 0.2), seed=seed)
        homes = [split for split, part in parts.items() if {"3", "17", "22"} & {each.name for each in part}]
        assert len(homes) == 1
