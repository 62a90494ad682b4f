import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

from segdistill.data.datasets import read_dataset
from segdistill.data.finite import filled, refuse_non_finite
from segdistill.data.sample import read_sample
from segdistill.errors import DataError


def write(root, image, **others):
    """Write images/a.npy and, say, labels/a.tif for ``labels=array``."""
    (root / "images").mkdir(parents=True)
    np.save(root / "images/a.npy", image)
    for folder, array in others.items():
        path = root / folder.replace("__", "/")
        path.mkdir(parents=True)
        tifffile.imwrite(path / "a.tif", array)


def read(root, *, fill=False, **options):
    dataset = read_dataset(root, **options)
    return read_sample(dataset.cases[0], dataset, fill_non_finite=fill)


IMAGE = np.arange(12, dtype=np.uint16).reshape(3, 4)
LABELS = np.array([[0, 0, 1, 1], [0, 2, 2, 0], [0, 0, 0, 0]], dtype=np.uint8)


def test_image_and_labels_come_as_they_are(tmp_path):
    write(tmp_path, IMAGE, labels=LABELS)
    sample = read(tmp_path, label_kind="instances", channels=["nucleus"])
    assert sample.name == "a"
    assert (sample.image.array == IMAGE[None]).all()
    assert sample.image.array.dtype == np.uint16
    assert sample.image.channels == ("nucleus",)
    assert (sample.planes == LABELS[None]).all()
    assert sample.known.tolist() == [True]
    assert sample.counts.all()


def test_what_nobody_labelled_is_not_known(tmp_path):
    write(tmp_path, IMAGE, labels__nucleus=LABELS, labels__organ=LABELS)
    np.save(tmp_path / "images/b.npy", IMAGE)
    tifffile.imwrite(tmp_path / "labels/organ/b.tif", LABELS * 0)
    dataset = read_dataset(tmp_path, label_kind={"nucleus": "instances", "organ": "bits"})
    assert [structure.name for structure in dataset.structures] == ["nucleus", "organ_1", "organ_2"]
    sample = read_sample(dataset.cases[1], dataset)
    assert sample.known.tolist() == [False, True, True]
    assert sample.planes.shape == (3, 3, 4)
    assert not sample.planes.any()


def test_without_any_label_there_are_no_planes(tmp_path):
    write(tmp_path, IMAGE)
    sample = read(tmp_path)
    assert sample.planes.shape == (0, 3, 4)
    assert sample.known.shape == (0,)


def test_regions_say_which_pixels_count(tmp_path):
    ignore = np.array([[255, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]], dtype=np.uint8)
    view = np.array([[1, 1, 1, 0], [1, 1, 1, 0], [1, 1, 1, 1]], dtype=np.uint8) * 255
    write(tmp_path, IMAGE, ignore=ignore, field_of_view=view)
    expected = [[False, True, True, False], [True, True, True, False], [True, True, True, False]]
    assert read(tmp_path).counts.tolist() == expected


@pytest.mark.parametrize("folder", ["labels", "ignore", "field_of_view"])
def test_another_size_than_the_image_is_refused_with_both(tmp_path, folder):
    write(tmp_path, IMAGE, **{folder: np.ones((4, 3), np.uint8)})
    with pytest.raises(DataError, match=rf"{folder}/a\.tif has 4 × 3 pixels.*images/a\.npy has 3 × 4"):
        read(tmp_path)


def test_the_label_file_is_named_where_its_values_are_wrong(tmp_path):
    write(tmp_path, IMAGE, labels=LABELS)
    with pytest.raises(DataError, match=r"labels/a\.tif holds 2 values besides 0"):
        read(tmp_path, label_kind="binary")


def broken():
    image = np.ones((2, 3, 4), np.float32)
    image[0, 0] = 5
    image[1, 1, :2] = [np.nan, np.inf]
    image[1, 2, 3] = 0.5
    return image


def test_pixels_that_are_not_finite_are_refused_by_file_channel_and_count(tmp_path):
    write(tmp_path, broken())
    with pytest.raises(DataError, match=r"a\.npy has pixels that are NaN or infinite: 2 of 12 in channel membrane\."):
        read(tmp_path, axes="cyx", channels=["nucleus", "membrane"])


def test_pixels_that_are_not_finite_can_be_filled(tmp_path):
    write(tmp_path, broken())
    array = read(tmp_path, axes="cyx", fill=True).image.array
    assert array.dtype == np.float32
    assert array[1, 1].tolist() == [0.5, 0.5, 1, 1]
    assert (array[0] == broken()[0]).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_channel_without_any_finite_pixel_becomes_zero(value):
    array = np.full((2, 3, 5), value)
    array[1] = 7
    assert (filled(array)[0] == 0).all()
    assert (filled(array)[1] == 7).all()


def test_what_is_finite_is_not_copied():
    array = np.ones((1, 3, 5), np.float32)
    assert filled(array) is array
    refuse_non_finite(array, ["a"], source="a.tif")


@pytest.mark.parametrize("shape", [(0, 5), (5, 0)])
def test_an_image_without_pixels_is_refused_by_name(tmp_path, shape):
    write(tmp_path, np.zeros(shape, np.uint8))
    with pytest.raises(DataError, match=r"a\.npy has no pixels"):
        read(tmp_path)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (7, 13)])
def test_odd_sizes_are_sizes(tmp_path, shape):
    write(tmp_path, np.ones(shape, np.uint8), labels=np.ones(shape, np.uint8))
    sample = read(tmp_path)
    assert sample.image.array.shape == (1, *shape)
    assert sample.planes.shape == (1, *shape)


def test_one_object_nearly_as_large_as_the_image_and_objects_of_one_pixel_are_kept(tmp_path):
    labels = np.full((40, 50), 1, np.uint32)
    labels[-1] = np.arange(2, 52)
    write(tmp_path, np.ones((40, 50), np.uint8), labels=labels)
    assert np.unique(read(tmp_path, label_kind="instances").planes).tolist() == list(range(1, 52))


def test_one_file_per_channel_is_one_image(tmp_path):
    (tmp_path / "images").mkdir()
    for value, channel in enumerate(["actin", "dapi"], start=1):
        Pillow.fromarray(np.full((3, 4), value, np.uint8)).save(tmp_path / f"images/a_{channel}.png")
    sample = read(tmp_path, pattern="{name}_{channel}.png", channels=["dapi", "actin"])
    assert sample.image.channels == ("dapi", "actin")
    assert sample.image.array[:, 0, 0].tolist() == [2, 1]
