from pathlib import Path

import numpy as np
import pytest
import tifffile

from segdistill.data.case import Case
from segdistill.data.splits import split_cases
from segdistill.study import duplicates
from segdistill.study.duplicates import Together, keep_together


@pytest.fixture
def saved(tmp_path):
    """Write pictures and return their cases."""

    def save(pictures, split=None, groups=None):
        cases = []
        for name, array in pictures.items():
            path = Path(tmp_path, f"{name}.tif")
            tifffile.imwrite(path, array)
            cases.append(Case(name, path, {}, None, None, (groups or {}).get(name, name), (split or {}).get(name)))
        return cases

    return save


def pictures(count, shape=(40, 57)):
    draw = np.random.default_rng(0)
    return {f"f{number}": draw.integers(0, 255, shape, np.uint8) for number in range(count)}


def test_equal_pictures_never_straddle_splits_whatever_the_seed(saved):
    fields = pictures(8)
    copies = {f"copy{number}": fields[f"f{number}"] for number in range(4)}
    together = keep_together(saved(fields | copies))
    cases, notes = together.cases, together.notes
    assert len(notes) == 4
    assert "Kept in one split, as they show the same picture: f0, copy0." in notes[0]
    for seed in range(20):
        parts = split_cases(cases, fractions=(0.5, 0.25, 0.25), seed=seed)
        place = {case.name: split for split, part in parts.items() for case in part}
        assert all(place[f"f{number}"] == place[f"copy{number}"] for number in range(4))


def test_joining_is_passed_on_through_groups(saved):
    fields = pictures(4)
    cases = saved(fields | {"copy": fields["f0"]}, groups={"copy": "slide", "f3": "slide"})
    joined = keep_together(cases).cases
    groups = {case.name: case.group for case in joined}
    assert groups["f0"] == groups["copy"] == groups["f3"]
    assert len({groups[name] for name in ("f0", "f1", "f2")}) == 3


def test_different_pictures_stay_as_they_are(saved):
    cases = saved(pictures(6))
    assert keep_together(cases) == Together(tuple(cases), (), ())


def test_nearly_equal_pictures_are_joined_among_few_images_only(saved, monkeypatch):
    fields = pictures(6)
    cases = saved(fields | {"mirrored": fields["f2"][:, ::-1]})
    together = keep_together(cases)
    joined, (note,) = together.cases, together.notes
    assert joined[2].group == joined[6].group
    assert together.twins == (("f2", "mirrored"),)
    assert "nearly the same picture: f2, mirrored" in note
    monkeypatch.setattr(duplicates, "MOST", 6)
    assert keep_together(cases) == Together(tuple(cases), (), ())


def test_given_splits_are_kept_and_a_leak_between_them_is_told(saved):
    fields = pictures(3)
    split = {"f0": "train", "f1": "validation", "f2": "test", "copy": "test"}
    cases = saved(fields | {"copy": fields["f0"]}, split=split)
    together = keep_together(cases)
    (note,) = together.notes
    assert together.cases == tuple(cases)
    assert together.twins == (("f0", "copy"),)
    assert "In several of the given splits lies the same picture: train: f0, test: copy." in note


def test_a_free_copy_follows_the_split_of_the_given_one(saved):
    fields = pictures(5)
    joined = keep_together(saved(fields | {"copy": fields["f0"]}, split={"f0": "test"})).cases
    for seed in range(5):
        parts = split_cases(joined, fractions=(0.5, 0.25, 0.25), seed=seed)
        assert {"f0", "copy"} <= {case.name for case in parts["test"]}


def test_equal_pictures_of_one_given_split_are_one_in_the_statistics(saved):
    fields = pictures(3)
    split = {"f0": "train", "f1": "validation", "f2": "test", "copy": "test"}
    together = keep_together(saved(fields | {"copy": fields["f2"]}, split=split))
    groups = {case.name: case.group for case in together.cases}
    assert groups["f2"] == groups["copy"]
    assert len(set(groups.values())) == 3
    assert together.notes == ("Counted as one, as they show the same picture: f2, copy.",)


def test_copies_of_one_given_split_are_one_though_another_copy_lies_in_another(saved):
    fields = pictures(3)
    split = {"f0": "train", "f1": "validation", "f2": "test", "a": "test", "b": "test"}
    together = keep_together(saved(fields | {"a": fields["f0"], "b": fields["f0"]}, split=split))
    groups = {case.name: case.group for case in together.cases}
    assert groups["a"] == groups["b"] != groups["f0"]
    assert [note.split(":")[0] for note in together.notes] == ["In several of the given splits lies the same picture"]
