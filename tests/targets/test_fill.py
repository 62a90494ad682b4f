from dataclasses import replace

import numpy as np
import pytest

from segdistill.errors import ConfigError, DataError, EnvironmentFault
from segdistill.targets import (
    Failure,
    Filling,
    Header,
    View,
    create_store,
    fill_targets,
    image_key,
    load_maps,
    load_tokens,
    new_header,
    open_store,
    plan_targets,
    read_failures,
)
from segdistill.targets import fill as fill_module
from segdistill.targets.shard import slice_folder


def probabilities(store, sample):
    return load_maps(store.get((image_key(sample.image), 0))["maps"])


def test_every_image_is_shown_once(store, filling, teacher, samples):
    first = fill_targets(store, filling)
    second = fill_targets(store, filling)
    assert (first.made, first.kept, first.failed) == (7, 0, ())
    assert (second.made, second.kept) == (0, 7)
    assert teacher.seen == list(samples)
    assert first.error == second.error <= 1 / 4096
    mean = samples["field3"].image.array.astype(np.float32).mean(axis=0) / 255
    assert probabilities(store, samples["field3"]) == pytest.approx(np.stack([mean, mean**2]), abs=1 / 4096)


def test_equal_pixels_under_two_names_are_one_record(store, filling, teacher, samples):
    samples["twin"] = replace(samples["field0"], name="twin")
    summary = fill_targets(store, replace(filling, names=list(samples)))
    assert (summary.made, summary.kept) == (7, 1)
    assert len(store) == 7


def test_where_a_teacher_fails_on_one_name_of_a_picture_it_is_asked_about_the_other(
    tmp_path, make_teacher, filling, samples
):
    bad = make_teacher(fails_on={"field0"})  # as stored maps do, which are found by name
    samples["twin"] = replace(samples["field0"], name="twin")
    store = create_store(tmp_path / "s", new_header(bad.contract))
    summary = fill_targets(store, replace(filling, teachers=[bad], names=list(samples)))
    assert [failure.case for failure in summary.failed] == ["field0"]
    assert (summary.made, summary.kept) == (7, 0)
    assert store.has((image_key(samples["twin"].image), 0))


def test_a_picture_on_which_a_teacher_fails_is_listed_under_both_of_its_names(tmp_path, make_teacher, filling, samples):
    bad = make_teacher(fails_on={"field0", "twin"})
    samples["twin"] = replace(samples["field0"], name="twin")
    store = create_store(tmp_path / "s", new_header(bad.contract))
    summary = fill_targets(store, replace(filling, teachers=[bad], names=list(samples)))
    assert [failure.case for failure in summary.failed] == ["field0", "twin"]


def test_a_failing_teacher_costs_only_its_images(tmp_path, make_teacher, filling, samples):
    bad = make_teacher(fails_on={"field2"})
    store = create_store(tmp_path / "s", new_header(bad.contract))
    told = []
    summary = fill_targets(store, replace(filling, teachers=[bad]), notice=told.append)
    assert summary.made == 6
    assert summary.failed == (Failure("field2", "RuntimeError: no convergence"),)
    assert told == ["No targets for field2: no convergence"]
    assert not store.has((image_key(samples["field2"].image), 0))
    assert read_failures(open_store(store.folder)) == summary.failed
    # Mended, it goes on with the missing one, and the failure is forgotten.
    assert fill_targets(store, filling).made == 1
    assert read_failures(store) == ()


def test_an_image_that_cannot_be_read_is_listed(store, filling, samples):
    def read(name):
        if name == "field5":
            raise DataError("field5.tif is cut off")
        return samples[name]

    summary = fill_targets(store, replace(filling, read=read))
    assert summary.failed == (Failure("field5", "DataError: field5.tif is cut off"),)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1.5, -0.1])
def test_what_is_no_probability_is_a_failure(store, filling, teacher, monkeypatch, value):
    monkeypatch.setattr(type(teacher), "maps", lambda *_: np.full((2, 24, 36), value, np.float32))
    summary = fill_targets(store, replace(filling, names=["field0"]))
    assert "1728 values that are no probabilities" in summary.failed[0].reason


def test_a_full_disk_stops_the_filling(store, filling, teacher, monkeypatch):
    def full(*_):
        raise EnvironmentFault("no room")

    monkeypatch.setattr(type(teacher), "maps", full)
    with pytest.raises(EnvironmentFault, match=r"no room"):
        fill_targets(store, filling)


def test_a_damaged_record_is_made_again(store, filling, samples):
    fill_targets(store, filling)
    data = slice_folder(store.folder, (0, 1)) / "0000.bin"
    content = bytearray(data.read_bytes())
    content[100] ^= 255
    data.write_bytes(content)
    again = open_store(store.folder)
    summary = fill_targets(again, filling)
    assert (summary.made, summary.kept, summary.remade) == (1, 6, 1)
    assert np.isfinite(probabilities(again, samples["field0"])).all()
    assert fill_targets(again, filling).kept == 7


def test_slices_divide_the_cases(store, filling, samples, teacher):
    parts = [fill_targets(store, filling, part=(number, 3)) for number in range(3)]
    assert [part.made for part in parts] == [3, 2, 2]
    assert sorted(teacher.seen) == sorted(samples)
    assert fill_targets(open_store(store.folder), filling).kept == 7


def test_teachers_that_are_not_the_stores_are_refused(store, filling, make_teacher):
    with pytest.raises(ConfigError, match=r"ffffffffffff….*000000000000"):
        fill_targets(store, replace(filling, teachers=[make_teacher(weights_sha256="0" * 64)]))


# out of fold


@pytest.fixture
def folds(make_teacher):
    return [make_teacher(weights_sha256=str(number) * 64) for number in range(2)]


def test_each_case_is_described_by_the_teacher_of_its_fold(tmp_path, filling, folds, samples):
    store = create_store(tmp_path / "s", new_header(*(each.contract for each in folds)))
    fold_of = {name: place % 2 for place, name in enumerate(samples)}
    fill_targets(store, replace(filling, teachers=folds, fold_of=fold_of))
    assert folds[0].seen == [name for name in samples if fold_of[name] == 0]
    assert folds[1].seen == [name for name in samples if fold_of[name] == 1]
    assert {store.parameters(key)["case"]: store.parameters(key)["teacher"] for key in store.keys()} == fold_of  # noqa: SIM118
    # A case that moves to the other fold is described again.
    summary = fill_targets(store, replace(filling, teachers=folds, fold_of=fold_of | {"field0": 1}))
    assert (summary.made, summary.remade) == (1, 1)


def test_folds_must_cover_every_case(tmp_path, filling, folds):
    store = create_store(tmp_path / "s", new_header(*(each.contract for each in folds)))
    with pytest.raises(ConfigError, match=r"several teachers"):
        fill_targets(store, replace(filling, teachers=folds))
    with pytest.raises(ConfigError, match=r"6 cases, such as 'field1'"):
        fill_targets(store, replace(filling, teachers=folds, fold_of={"field0": 0}))


# an oracle


class Oracle:
    """Says what the labels say."""

    def __init__(self, contract):
        self.contract = contract

    def maps(self, image, hint):  # noqa: ARG002
        inside = (hint.labels["cell"] > 0).astype(np.float32)
        return np.stack([inside, 0 * inside])


@pytest.fixture
def oracle(make_teacher):
    return Oracle(make_teacher(needs=("labels",)).contract)


def test_an_oracles_labels_are_counted_and_changes_make_it_speak_again(tmp_path, oracle, filling, samples):
    store = create_store(tmp_path / "s", new_header(oracle.contract))
    filling = replace(filling, teachers=[oracle])
    assert fill_targets(store, filling).labels_read == 7
    assert fill_targets(store, filling).labels_read == 7
    samples["field4"] = replace(samples["field4"], planes=np.zeros_like(samples["field4"].planes))
    summary = fill_targets(store, filling)
    assert (summary.made, summary.remade, summary.kept) == (1, 1, 6)
    assert probabilities(store, samples["field4"]).max() == 0


@pytest.mark.parametrize("part", [(0, 1), (1, 3), (1, 2)])
def test_what_is_said_anew_is_read_in_whatever_slice_the_old_word_lies(tmp_path, oracle, filling, samples, part):
    store = create_store(tmp_path / "s", new_header(oracle.contract))
    filling = replace(filling, teachers=[oracle])
    for number in range(2):
        fill_targets(store, filling, part=(number, 2))
    for label in (1, 2):  # corrected twice
        planes = np.zeros_like(samples["field1"].planes)
        planes[0, : 3 * label] = label
        samples["field1"] = replace(samples["field1"], planes=planes)
        assert fill_targets(store, filling, part=part).remade == 1
        assert np.array_equal(probabilities(open_store(store.folder), samples["field1"])[0], planes[0] > 0)
        assert fill_targets(open_store(store.folder), filling).remade == 0


def test_an_oracle_without_labels_fails_on_that_image(tmp_path, oracle, filling, samples):
    samples["field1"] = replace(samples["field1"], known=np.array([False]))
    store = create_store(tmp_path / "s", new_header(oracle.contract))
    summary = fill_targets(store, replace(filling, teachers=[oracle]))
    assert [failure.case for failure in summary.failed] == ["field1"]


# what the teacher sees


@pytest.mark.parametrize(("tile", "halo"), [(16, 0), (16, 3), (30, 7), (36, 4)])
def test_tiles_of_a_pixelwise_teacher_are_the_whole(tmp_path, teacher, filling, samples, tile, halo):
    header = Header(contracts=(teacher.contract,), tile=tile, halo=halo)
    store, whole = (
        create_store(tmp_path / "tiled", header),
        create_store(tmp_path / "whole", new_header(teacher.contract)),
    )
    filling = replace(filling, names=["field0"])
    fill_targets(store, filling)
    fill_targets(whole, filling)
    assert np.array_equal(probabilities(store, samples["field0"]), probabilities(whole, samples["field0"]))
    looks = {(16, 0): 6, (16, 3): 6, (30, 7): 2, (36, 4): 1}[tile, halo]  # 24 x 36 px; cores of 16, 10, 16 px
    assert len(teacher.seen) == looks + 1


def test_tiles_of_an_oracle_get_their_part_of_the_labels(tmp_path, oracle, filling, samples):
    store = create_store(tmp_path / "s", Header(contracts=(oracle.contract,), tile=16, halo=2))
    fill_targets(store, replace(filling, teachers=[oracle], names=["field6"]))
    assert np.array_equal(probabilities(store, samples["field6"])[0], samples["field6"].planes[0] > 0)


def test_an_image_is_brought_to_the_teachers_pixel_size_and_back(tmp_path, make_teacher, make_sample):
    coarse = make_teacher(pixel_size=1.0)
    shapes = []
    plain = coarse.maps

    class Watching:
        contract = coarse.contract

        def maps(self, image, hint):
            shapes.append(image.shape)
            return plain(image, hint)

    fine = make_sample("field", 0, shape=(24, 36), pixel_size=0.5)
    unknown = make_sample("unknown", 1, shape=(24, 36))
    store = create_store(tmp_path / "s", new_header(coarse.contract))
    found = {"field": fine, "unknown": unknown}
    summary = fill_targets(store, Filling(teachers=[Watching()], names=list(found), read=found.__getitem__))
    assert summary.failed == ()
    assert shapes == [(2, 12, 18), (2, 24, 36)]
    maps = probabilities(store, fine)
    assert maps.shape == (2, 24, 36)
    assert maps[0].mean() == pytest.approx(fine.image.array.mean() / 255, abs=0.02)


def test_a_missing_channel_is_listed_with_what_there_is(store, filling, samples):
    array = samples["field0"].image
    samples["field0"] = replace(samples["field0"], image=replace(array, channels=("nucleus", "actin")))
    summary = fill_targets(store, filling)
    assert "no channel 'membrane'" in summary.failed[0].reason
    assert "It has: nucleus, actin" in summary.failed[0].reason


# tokens and views


def test_tokens_of_every_view_are_stored_with_their_cosine(tmp_path, teacher, filling, samples):
    views = (View(), View(mirrored=True), View(window=(0.0, 0.0, 0.5, 1.0), turns=1))
    header = Header(contracts=(teacher.contract,), tokens=("mean",), views=views)
    store = create_store(tmp_path / "s", header)
    summary = fill_targets(store, replace(filling, names=["field0", "field1"]))
    assert 0.999 < summary.cosine < 1
    image = image_key(samples["field0"].image)
    assert set(store.get((image, 0))) == {"maps", "mean/values", "mean/scale"}
    assert set(store.get((image, 2))) == {"mean/values", "mean/scale"}
    pixels = samples["field0"].image.array.astype(np.float32) / 255
    seen = np.rot90(pixels[:, :12], 1, axes=(1, 2)).copy()
    wanted = teacher.tokens(seen, ("mean",))["mean"]
    stored = {part: store.get((image, 2))[f"mean/{part}"] for part in ("values", "scale")}
    assert load_tokens(stored) == pytest.approx(wanted, abs=0.02)
    assert fill_targets(store, replace(filling, names=["field0", "field1"])).kept == 2


def test_a_teacher_without_tokens_fails_on_them(tmp_path, filling, oracle):
    header = Header(contracts=(oracle.contract,), tokens=("mean",))
    store = create_store(tmp_path / "s", header)
    summary = fill_targets(store, replace(filling, teachers=[oracle], names=["field0"]))
    assert "gives maps, but no tokens" in summary.failed[0].reason


# the plan


def test_the_plan_times_one_image_and_keeps_it(store, filling, teacher):
    estimate = plan_targets(store, filling)
    assert (estimate.images, estimate.missing) == (7, 6)
    assert teacher.seen == ["field0"]
    assert estimate.size == 6 * 2 * 24 * 36 * 2
    summary = fill_targets(store, filling)
    assert (summary.made, summary.kept) == (6, 1)
    assert plan_targets(store, filling).missing == 0
    data = slice_folder(store.folder, (0, 1)) / "0000.bin"
    assert data.stat().st_size == pytest.approx(estimate.size * 7 / 6, rel=0.02)  # alignment


def test_the_plan_counts_pixels_or_tiles(tmp_path, make_teacher, filling, monkeypatch):
    times = iter([0.0, 2.0] * 2)
    monkeypatch.setattr(fill_module.time, "monotonic", lambda: next(times))
    shapes = {f"field{number}": (48, 36) for number in range(7)}  # twice the pixels of the first
    free, square = make_teacher(), make_teacher(size=16, tile=36, weights_sha256="1")
    for teacher, seconds in ((free, 6 * 2 * 2.0), (square, 6 * 2 * 2.0)):
        store = create_store(tmp_path / teacher.contract.weights_sha256[:4], new_header(teacher.contract))
        estimate = plan_targets(store, replace(filling, teachers=[teacher]), shape_of=shapes.__getitem__)
        # 48 rows in tiles of 36 that keep 28 (or 32 at an end) are 2 tiles.
        assert estimate.seconds == pytest.approx(seconds)
        assert estimate.size == 6 * 2 * 48 * 36 * 2


def test_a_plan_that_does_not_fit_the_disk_is_refused(store, filling, monkeypatch):
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(fill_module.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(EnvironmentFault, match=r"do not fit.*\(1\.0 kB free\)"):
        plan_targets(store, filling)


def test_a_plan_survives_a_teacher_that_fails_on_the_first(tmp_path, make_teacher, filling):
    bad = make_teacher(fails_on={"field0"})
    store = create_store(tmp_path / "s", new_header(bad.contract))
    assert plan_targets(store, replace(filling, teachers=[bad])).missing == 6
