import itertools

import numpy as np
import pytest
import tifffile

from segdistill.errors import ConfigError, UnknownName
from segdistill.settings import Source
from segdistill.study.fitted import divide
from segdistill.study.preparation import labelled_budget, prepare


def quiet(_):
    pass


def write_fields(folder, count=6, *, shape=(12, 17), labelled=lambda _: True):
    draw = np.random.default_rng(0)
    for number in range(count):
        (folder / "images").mkdir(parents=True, exist_ok=True)
        (folder / "labels").mkdir(exist_ok=True)
        tifffile.imwrite(folder / "images" / f"f{number}.tif", draw.integers(0, 255, shape, np.uint8))
        if labelled(number):
            labels = np.zeros(shape, np.uint16)
            labels[2:6, 3:9], labels[7:11, 3:9] = 1, 2
            tifffile.imwrite(folder / "labels" / f"f{number}.tif", labels)
    return folder


def test_every_field_lands_in_one_split(tmp_path):
    prepared = prepare(Source(data=write_fields(tmp_path), label_kind="instances"), notice=quiet)
    names = [name for part in prepared.split.values() for name in part]
    assert sorted(names) == sorted(prepared.samples)
    assert len(set(names)) == len(names)


def test_a_broken_file_is_left_out_by_name_and_the_others_go_on(tmp_path):
    write_fields(tmp_path)
    (tmp_path / "images" / "f2.tif").write_bytes(b"II*\0 not a picture")
    heard = []
    prepared = prepare(Source(data=tmp_path, label_kind="instances"), notice=heard.append)
    assert list(prepared.dropped) == ["f2"]
    assert any("f2.tif" in line for line in heard)
    assert len(prepared.samples) == 5


def test_unlabelled_test_images_say_nothing_and_are_refused(tmp_path):
    write_fields(tmp_path, labelled=lambda number: number == 0)
    splits = ["train"] * 4 + ["validation", "test"]
    rows = "\n".join(f"images/f{n}.tif,{'' if n else 'labels/f0.tif'},{split}" for n, split in enumerate(splits))
    (tmp_path / "m.csv").write_text(f"image,label,split\n{rows}\n")
    with pytest.raises(ConfigError, match="None of the 1 test images"):
        prepare(Source(data=tmp_path / "m.csv", label_kind="instances"), notice=quiet)


def test_the_same_picture_in_two_splits_is_told(tmp_path):
    write_fields(tmp_path)
    first = (tmp_path / "images" / "f0.tif").read_bytes()
    for number in range(6):
        (tmp_path / "images" / f"f{number}.tif").write_bytes(first)
    prepared = prepare(Source(data=tmp_path, label_kind="instances"), notice=quiet)
    assert any("several splits" in note for note in prepared.notes)


def test_an_unknown_label_set_is_refused(tmp_path):
    with pytest.raises(UnknownName, match="Did you mean 'cell'"):
        prepare(Source(data=write_fields(tmp_path), label_kind="instances", label_sets=("cel",)), notice=quiet)


def test_budgets_are_nested_and_drawn_by_the_seed(tmp_path):
    prepared = prepare(
        Source(data=write_fields(tmp_path, 12), label_kind="instances", split=(0.5, 0.25, 0.25)), notice=quiet
    )
    labelled = prepared.labelled("train")
    budgets = [labelled_budget(labelled, count, seed=4) for count in range(len(labelled) + 1)]
    assert all(small < large for small, large in itertools.pairwise(budgets))
    assert budgets[-1] == labelled_budget(labelled, None, seed=4)
    assert len({labelled_budget(labelled, 2, seed=seed) for seed in range(10)}) > 1
    with pytest.raises(ConfigError, match="only 6 training images"):
        labelled_budget(labelled, 7, seed=0)


def test_folds_share_out_all_groups_once():
    parts = divide([f"g{number}" for number in range(12)], 5)
    assert sorted(len(part) for part in parts) == [2, 2, 2, 3, 3]
    assert frozenset().union(*parts) == {f"g{number}" for number in range(12)}
    assert divide(["a"], 5) == [frozenset({"a"})]
