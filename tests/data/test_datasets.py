import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

from segdistill.data.datasets import read_dataset
from segdistill.data.labels import LabelSet
from segdistill.errors import ConfigError, DataError, UnknownName


def put(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".png":
        Pillow.fromarray(array).save(path)
    else:
        tifffile.imwrite(path, array)


def folder(root, labels, *, label_folder="labels"):
    """Write an image beside each label array; None means an image without label."""
    for index, array in enumerate(labels):
        shape = (6, 8) if array is None else array.shape
        put(root / f"images/{index:03}.tif", np.full(shape, index, np.uint8))
        if array is not None:
            put(root / f"{label_folder}/{index:03}.png", array.astype(np.uint8))
    return root


def organs(*values):
    return np.resize(np.array(values), (6, 8))


def test_the_kind_is_inferred_and_said(tmp_path):
    dataset = read_dataset(folder(tmp_path, [organs(0, 255), organs(0)]), structure="vessel")
    assert dataset.label_sets == (LabelSet("vessel", "binary", ("vessel",)),)
    assert "vessel: kind 'binary' inferred from 2 of 2 label files." in dataset.notes
    assert dataset.root == tmp_path


def test_a_sample_of_many_files_is_read_and_that_is_said(tmp_path):
    dataset = read_dataset(folder(tmp_path, [organs(0, 1)] * 60))
    assert "cell: kind 'binary' inferred from 50 of 60 label files." in dataset.notes


def test_where_the_sample_is_empty_all_files_are_read(tmp_path):
    # Rounding 50 even steps over 60 files leaves out file 3; it alone has anything in it.
    labels = [organs(0)] * 60
    labels[3] = np.arange(48).reshape(6, 8)
    dataset = read_dataset(folder(tmp_path, labels))
    assert dataset.label_sets[0].kind == "instances"
    assert "cell: kind 'instances' inferred from 60 of 60 label files." in dataset.notes


def test_ambiguous_labels_ask_for_their_kind(tmp_path):
    with pytest.raises(ConfigError, match=r"'cell', 2 of 2 files read.*1, 2, 3, 4.*--label-kind classes"):
        read_dataset(folder(tmp_path, [organs(0, 1, 2), organs(3, 4)]))


@pytest.mark.parametrize("kind", [None, "classes"])
def test_of_a_label_file_that_cannot_be_read_it_is_said_what_lists_all_such(tmp_path, kind):
    data = folder(tmp_path, [organs(0, 1), organs(0, 1)])
    (data / "labels/001.png").unlink()
    put(data / "labels/001.tif", organs(0.0, 0.5))
    with pytest.raises(DataError, match=rf"001.tif holds 24 pixels.*`segdistill check {tmp_path}` lists"):
        read_dataset(data, label_kind=kind)


def test_bits_are_found_in_all_files(tmp_path):
    # 5 = 1 + 4 and 8; nobody has bit 2.
    dataset = read_dataset(folder(tmp_path, [organs(0, 5), organs(0, 8)]), label_kind="bits", structure="organ")
    assert dataset.label_sets == (LabelSet("organ", "bits", ("organ_1", "organ_4", "organ_8"), (1, 4, 8)),)
    assert not any(structure.instances for structure in dataset.structures)


def test_classes_are_found_in_all_files(tmp_path):
    dataset = read_dataset(folder(tmp_path, [organs(0, 5), organs(2)]), label_kind="classes")
    assert dataset.label_sets[0].values == (2, 5)


def test_values_can_be_named(tmp_path):
    dataset = read_dataset(
        folder(tmp_path, [organs(0, 5)]),
        label_kind={"organ": "bits"},
        structure="organ",
        value_names={4: "heart", 1: "lung"},
    )
    assert [structure.name for structure in dataset.structures] == ["heart", "lung"]
    assert dataset.label_sets[0].values == (4, 1)


def test_names_for_values_need_classes_or_bits(tmp_path):
    with pytest.raises(ConfigError, match=r"values \[4\], but no labels are classes or bits"):
        read_dataset(folder(tmp_path, [organs(0, 1)]), value_names={4: "heart"})


def test_classes_in_empty_files_must_be_named(tmp_path):
    with pytest.raises(ConfigError, match="nothing but 0"):
        read_dataset(folder(tmp_path, [organs(0)]), label_kind="classes")
    named = read_dataset(tmp_path, label_kind="classes", value_names={1: "liver"})
    assert [structure.name for structure in named.structures] == ["liver"]


def test_all_empty_labels_are_labels(tmp_path):
    dataset = read_dataset(folder(tmp_path, [organs(0), organs(0)]))
    assert all("cell" in case.labels for case in dataset.cases)
    assert dataset.label_sets[0].kind == "binary"


def test_without_labels_there_are_no_structures(tmp_path):
    dataset = read_dataset(folder(tmp_path, [None, None]))
    assert (dataset.label_sets, dataset.structures) == ((), ())
    assert len(dataset.cases) == 2


def test_label_sets_may_differ_in_kind(tmp_path):
    folder(tmp_path, [organs(0, 1, 2)], label_folder="labels/nucleus")
    folder(tmp_path, [organs(0, 1)], label_folder="labels/tissue")
    dataset = read_dataset(tmp_path, label_kind={"nucleus": "instances"})
    assert {each.name: each.kind for each in dataset.label_sets} == {"nucleus": "instances", "tissue": "binary"}
    assert [structure.name for structure in dataset.structures] == ["nucleus", "tissue"]


def test_unknown_kinds_and_label_sets_are_refused_with_the_nearest(tmp_path):
    folder(tmp_path, [organs(0, 1)])
    with pytest.raises(UnknownName, match=r"'instance'\. Did you mean 'instances'\?"):
        read_dataset(tmp_path, label_kind="instance")
    with pytest.raises(UnknownName, match=r"'cel'\. Did you mean 'cell'\?"):
        read_dataset(tmp_path, label_kind={"cel": "binary"})


def test_channels_choose_among_files_of_one_channel_each(tmp_path):
    for channel in ("actin", "dapi", "er"):
        put(tmp_path / f"images/a_{channel}.tif", np.ones((6, 8), np.uint8))
    dataset = read_dataset(tmp_path, pattern="{name}_{channel}.tif", channels=["er", "actin"])
    assert list(dataset.cases[0].image) == ["er", "actin"]
    assert dataset.channels == ("er", "actin")
    assert "channels left aside: dapi." in dataset.notes
    with pytest.raises(DataError, match=r"no channel 'actn'. Did you mean 'actin'"):
        read_dataset(tmp_path, pattern="{name}_{channel}.tif", channels=["actn"])


def test_a_manifest_is_read_from_its_own_folder(tmp_path):
    folder(tmp_path, [organs(0, 1), organs(0)])
    (tmp_path / "all.CSV").write_text("image,label,split\nimages/000.tif,labels/000.png,train\nimages/001.tif,,test\n")
    dataset = read_dataset(tmp_path / "all.CSV", structure="vessel")
    assert dataset.root == tmp_path
    assert [case.split for case in dataset.cases] == ["train", "test"]
    assert dataset.label_sets[0].structures == ("vessel",)
    with pytest.raises(ConfigError, match="is for folders"):
        read_dataset(tmp_path / "all.CSV", pattern="{name}_{channel}.tif")


def test_masks_of_where_pixels_count_are_told_with_what_they_do(tmp_path):
    folder(tmp_path, [organs(0, 1), organs(0, 1)])
    assert not any("pixels where they are" in note for note in read_dataset(tmp_path).notes)
    put(tmp_path / "field_of_view/000.png", organs(0, 1).astype(np.uint8))
    told = "field_of_view: masks of 1 of 2 images; pixels where they are 0 count for nothing, neither in training"
    assert any(note.startswith(told) for note in read_dataset(tmp_path).notes)
    (tmp_path / "all.csv").write_text("image,label,ignore\nimages/000.tif,labels/000.png,field_of_view/000.png\n")
    told = "ignore: masks of 1 of 1 image; pixels where they are not 0 count for nothing"
    assert any(note.startswith(told) for note in read_dataset(tmp_path / "all.csv").notes)


def test_what_is_neither_folder_nor_manifest_is_refused(tmp_path):
    for path in (tmp_path / "gone", folder(tmp_path, [None]) / "images/000.tif"):
        with pytest.raises(DataError, match="neither a folder with images/ nor a CSV manifest"):
            read_dataset(path)
