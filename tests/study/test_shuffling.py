"""The control that is shown a channel of another image is shown none of its own group, and no study mixes both."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from study_usual import plan

from segdistill.data.datasets import Case, Dataset
from segdistill.data.image import Image
from segdistill.data.sample import Sample
from segdistill.errors import ConfigError
from segdistill.settings import Protocol
from segdistill.study.arms import DONE
from segdistill.study.cells import cells_of
from segdistill.study.preparation import Prepared
from segdistill.study.shuffling import lent_by_neighbours, reading
from segdistill.study.study_job import folder_of, study

BRIEF = Protocol(steps=1, batch_size=2, crop=32, validations=1)
SHUFFLED = {"name": "shuffled", "teacher": "shuffled"}


def prepared_of(groups, split=None, twins=()):
    """Fields whose two channels hold their own number; all are training images unless it is said otherwise."""
    samples, cases = {}, []
    for number, name in enumerate(groups):
        image = Image(np.full((2, 2, 2), number, np.uint8), ("nucleus", "membrane"), None, name)
        planes, counts = np.zeros((0, 2, 2), np.int32), np.ones((2, 2), bool)
        samples[name] = Sample(name, image, planes, np.zeros(0, bool), counts)
        cases.append(Case(name, Path(name), {}, None, None, groups[name], None))
    parts = {"train": tuple(samples), "validation": (), "test": ()} if split is None else split
    dataset = Dataset(tuple(cases), (), None, None, Path())
    return Prepared(dataset, samples, parts, dict(groups), {}, (), twins=twins)


def lent(prepared):
    """Whose membrane each field is shown."""
    names, read = list(prepared.samples), reading(prepared, ("membrane",))
    shown = {name: read(name).image.array for name in names}
    assert all(shown[name][0, 0, 0] == place for place, name in enumerate(names))  # the nuclei are its own
    return {name: names[int(array[1, 0, 0])] for name, array in shown.items()}


def test_no_field_is_lent_a_channel_by_its_own_group_and_each_lends_once():
    groups = {"a1": "a", "a2": "a", "b1": "b", "c1": "c", "a3": "a", "b2": "b"}
    found = lent(prepared_of(groups))
    assert all(groups[name] != groups[lender] for name, lender in found.items())
    assert len(set(found.values())) == 6


def test_a_group_of_more_than_half_of_a_split_is_lent_what_others_have_of_other_splits_too():
    groups = {"a1": "a", "a2": "a", "a3": "a", "b1": "b", "c1": "c"}
    split = {"train": ("a1", "a2", "a3", "b1"), "validation": ("c1",), "test": ()}
    found = lent(prepared_of(groups, split))
    assert found == {"a1": "b1", "a2": "b1", "a3": "b1", "b1": "a1", "c1": "a1"}
    alone = {"train": ("a1", "a2", "a3"), "validation": ("b1",), "test": ("c1",)}
    assert lent(prepared_of(groups, alone))["a2"] in ("b1", "c1")


def test_a_twin_lends_nothing_whatever_its_group():
    found = lent(prepared_of({"a": "a", "b": "b", "c": "c"}, twins=(("a", "b"),)))
    assert (found["a"], found["b"]) == ("c", "c")


def test_of_one_group_alone_nobody_can_lend():
    with pytest.raises(ConfigError, match="all 2 images are of one: a neighbour lends nearly the right one"):
        reading(prepared_of({"a1": "a", "a2": "a"}), ("membrane",))


def test_where_every_image_is_a_group_it_is_the_next_one_as_it_always_was():
    prepared = prepared_of({"d": "d", "a": "a", "c": "c"})
    assert lent(prepared) == {"d": "a", "a": "c", "c": "d"}
    assert not lent_by_neighbours(prepared, ("membrane",))


@pytest.fixture
def slides(tissue, tmp_path):
    """The tissue, every two fields of which are of one slide."""
    folder = tmp_path / "slides"
    shutil.copytree(tissue, folder)
    with (folder / "cases.csv").open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["image", "label:cell", "split", "group"])
        parts = ["train", "train", "train", "train", "validation", "validation", "test", "test"]
        for number, part in enumerate(parts):
            name = f"tissue_{number:04d}"
            row = [f"images/{name}.ome.tif", f"labels/cell/{name}.tif", part, f"slide{number // 2}"]
            writer.writerow(row)
    return folder / "cases.csv"


def of(data, out, **changes):
    arms = ({"name": "baseline"}, {"name": "student", "teacher": "full"}, SHUFFLED)
    return plan(data, out, arms=arms, labels=(2,), protocol=BRIEF, **changes)


def done(settings):
    cells = cells_of(settings)
    return {(cell.arm.name, cell.seed): (folder_of(settings, cell) / DONE).stat().st_mtime_ns for cell in cells}


def as_before(out):
    """Make a study what an earlier version left: it kept nothing of whose channels were shown."""
    shutil.rmtree(out / "heard")


def test_a_half_done_study_begins_that_arm_anew_and_no_other(slides, tmp_path):
    first = of(slides, tmp_path / "s")
    study(first)
    before = done(first)
    told = []
    assert not study(first, notice=told.append).missing
    assert done(first) == before  # nothing is done twice
    as_before(tmp_path / "s")
    assert not study(of(slides, tmp_path / "s", seeds=(0, 1)), notice=told.append).missing
    after = done(first)
    assert {key for key in before if after[key] != before[key]} == {("shuffled-2", 0)}
    assert [line for line in told if "begun anew: the shuffled was shown channels of images of the same group" in line]
    aside = tmp_path / "s" / "unet-tiny" / "arms" / "shuffled-2" / "0.neighbours-1"
    assert (aside / DONE).stat().st_mtime_ns == before["shuffled-2", 0]
    kept = json.loads((tmp_path / "s" / "heard" / "shuffled" / "settings.json").read_text(encoding="utf-8"))
    assert kept["shuffled_channels_from"] == "other groups"


def test_where_nobody_was_lent_anything_by_a_neighbour_what_is_done_stays(tissue, tmp_path):
    settings = of(tissue, tmp_path / "s")
    study(settings)
    before = done(settings)
    as_before(tmp_path / "s")
    study(settings)
    assert done(settings) == before


def test_an_image_without_the_channel_is_refused_by_name():
    prepared = prepared_of({"a": "a", "b": "b"})
    whole = prepared.samples["b"]
    bare = Sample("b", Image(whole.image.array[:1], ("nucleus",), None, "b"), whole.planes, whole.known, whole.counts)
    without = Prepared(
        prepared.dataset, {**prepared.samples, "b": bare}, prepared.split, prepared.groups, {}, (), twins=()
    )
    with pytest.raises(ConfigError, match="b has no such channel"):
        reading(without, ["membrane"])("a")
