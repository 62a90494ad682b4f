import itertools

import numpy as np
import pytest
import tifffile
import zarr

from segdistill.errors import ConfigError, UnknownName
from segdistill.settings import Source, read_toml, validated
from segdistill.study.folds import divide
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


def test_names_of_channels_in_place_of_the_files_are_noted_and_moved_ones_leave_an_image_out(tmp_path):
    write_fields(tmp_path)
    for number, names in enumerate((["DAPI", "actin"], ["membrane", "nucleus"], *[["nucleus", "membrane"]] * 4)):
        pixels = np.random.default_rng(number).integers(0, 255, (2, 12, 17), np.uint8)
        metadata = {"axes": "CYX", "Channel": {"Name": names}}
        tifffile.imwrite(tmp_path / "images" / f"f{number}.tif", pixels, ome=True, metadata=metadata)
    source = Source(data=tmp_path, label_kind="instances", channels=("nucleus", "membrane"))
    prepared = prepare(source, notice=quiet)
    assert "names its channels itself: membrane, nucleus" in prepared.dropped["f1"]
    (note,) = [note for note in prepared.notes if "--channels" in note]
    assert note.endswith("1 of 5 images: f0, whose file says DAPI, actin, has nucleus, membrane.")


def test_unlabelled_test_images_say_nothing_and_are_refused(tmp_path):
    write_fields(tmp_path, labelled=lambda number: number == 0)
    splits = ["train"] * 4 + ["validation", "test"]
    rows = "\n".join(f"images/f{n}.tif,{'' if n else 'labels/f0.tif'},{split}" for n, split in enumerate(splits))
    (tmp_path / "m.csv").write_text(f"image,label,split\n{rows}\n")
    with pytest.raises(ConfigError, match="None of the 1 test images"):
        prepare(Source(data=tmp_path / "m.csv", label_kind="instances"), notice=quiet)


def test_copies_of_a_picture_land_in_one_split_and_in_one_unit(tmp_path):
    write_fields(tmp_path, 9)
    for copy, original in ((7, 0), (8, 1)):
        (tmp_path / "images" / f"f{copy}.tif").write_bytes((tmp_path / "images" / f"f{original}.tif").read_bytes())
    heard = []
    for seed in range(6):
        prepared = prepare(Source(data=tmp_path, label_kind="instances", split_seed=seed), notice=heard.append)
        place = {name: split for split, names in prepared.split.items() for name in names}
        assert (place["f7"], place["f8"]) == (place["f0"], place["f1"])
        assert prepared.groups["f7"] == prepared.groups["f0"]
    assert sum("the same picture: f0, f7." in note for note in prepared.notes) == 1
    assert set(prepared.notes) <= set(heard)


def test_pixels_that_are_not_numbers_leave_an_image_out_or_are_filled(tmp_path):
    write_fields(tmp_path)
    image = tifffile.imread(tmp_path / "images" / "f2.tif").astype(np.float32)
    image[3, 5] = np.nan
    tifffile.imwrite(tmp_path / "images" / "f2.tif", image)
    source = Source(data=tmp_path, label_kind="instances")
    assert list(prepare(source, notice=quiet).dropped) == ["f2"]
    filled = prepare(source.model_copy(update={"nan": "fill"}), notice=quiet)
    assert not filled.dropped
    assert filled.samples["f2"].image.array[0, 3, 5] == np.nanmin(image)


def test_values_are_named_from_a_settings_file(tmp_path):
    write_fields(tmp_path)
    (tmp_path / "names.toml").write_text('label_kind = "classes"\n[value_names]\n1 = "liver"\n2 = "left kidney"\n')
    source = validated(Source, {"data": tmp_path} | read_toml(tmp_path / "names.toml"))
    prepared = prepare(source, notice=quiet)
    assert [structure.name for structure in prepared.dataset.structures] == ["liver", "left kidney"]
    liver, kidney = prepared.samples["f0"].planes
    assert (liver[3, 4], kidney[3, 4], liver[8, 4], kidney[8, 4]) == (1, 0, 0, 1)
    assert validated(Source, source.resolved()) == source
    with pytest.raises(ConfigError, match="'0', 'liver' is none"):
        validated(Source, {"data": tmp_path, "value_names": {0: "a", "liver": "b"}})


def test_chunks_that_a_zarr_file_leaves_out_are_refused_or_empty(tmp_path):
    write_fields(tmp_path)
    axes = [{"name": name, "type": "space"} for name in "yx"]
    for folder in ("images", "labels"):  # zarr leaves out chunks of zeros by itself
        array = tifffile.imread(tmp_path / folder / "f3.tif")
        array[:6] = 0
        array[7:9, 3:9] = 2
        (tmp_path / folder / "f3.tif").unlink()
        group = zarr.open_group(tmp_path / folder / "f3.ome.zarr", mode="w", zarr_format=2)
        group.create_array("0", data=array, chunks=(6, 17))
        datasets = [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1, 1]}]}]
        group.attrs.update({"multiscales": [{"version": "0.4", "axes": axes, "datasets": datasets}]})
    source = Source(data=tmp_path, label_kind="instances")
    assert "--fill-missing" in prepare(source, notice=quiet).dropped["f3"]
    sample = prepare(source.model_copy(update={"fill_missing": True}), notice=quiet).samples["f3"]
    assert not sample.image.array[0, :6].any()
    assert sample.image.array[0, 6:].any()
    assert sample.planes[0, 8, 4] == 2
    assert not sample.planes[0, :6].any()


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


@pytest.mark.parametrize("changes", [{}, {"split": (1.0, 0.0, 0.0)}])
def test_without_a_labelled_test_image_it_is_said_how_to_give_a_few(tmp_path, changes):
    write_fields(tmp_path, labelled=lambda _: False)
    source = validated(Source, {"data": tmp_path, "label_kind": "instances", **changes})
    with pytest.raises(ConfigError, match=r"files in labels/ for some images, or a manifest with split test"):
        prepare(source, notice=quiet)
