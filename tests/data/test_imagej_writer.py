import zipfile

import numpy as np
import pytest
import roifile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from segdistill.data.imagej import read_imagej
from segdistill.data.imagej_writer import write_rois
from segdistill.data.labels import Structure
from segdistill.data.objects import find_objects
from segdistill.data.outlines import fill
from segdistill.errors import DataError


def write(path, labels, *, name="cell", left=0, top=0):
    """Write labels that lie so far into an otherwise empty image."""
    shape = (labels.shape[0] + top, labels.shape[1] + left)
    whole = np.zeros(shape, np.int64)
    whole[top:, left:] = labels
    blocks = [((slice(0, shape[0]), slice(0, shape[1])), whole)]
    write_rois(path, find_objects(Structure(name, True), blocks, shape))
    return path


def back(path, shape, *, left=0, top=0):
    """Return the labels that our reader, and filling what it reads, give back."""
    labels = np.zeros(shape, np.int64)
    for outline in read_imagej(path):
        number = int(outline.name.rpartition("-")[2].removesuffix(".roi"))
        for rings in outline.parts:
            labels[fill([ring - (left, top) for ring in rings], shape)] = number
    return labels


def test_a_simple_object_is_traced_and_others_are_composite(tmp_path):
    labels = np.array([[3, 3, 0, 7, 7, 7], [3, 3, 0, 7, 0, 7], [0, 0, 0, 7, 7, 7], [8, 0, 8, 0, 0, 0]])
    rois = {roi.name: roi for roi in roifile.roiread(write(tmp_path / "a.zip", labels))}
    assert list(rois) == ["cell-3", "cell-7", "cell-8"]
    simple = rois["cell-3"]
    assert simple.roitype == roifile.ROI_TYPE.TRACED
    assert (simple.left, simple.top, simple.right, simple.bottom) == (0, 0, 2, 2)
    assert simple.coordinates().tolist() == [[0, 0], [2, 0], [2, 2], [0, 2]]
    hole, pieces = rois["cell-7"], rois["cell-8"]
    assert hole.composite
    assert len(hole.coordinates(multi=True)) == len(pieces.coordinates(multi=True)) == 2
    assert (pieces.left, pieces.top, pieces.right, pieces.bottom) == (0, 3, 3, 4)


@settings(deadline=None, max_examples=40)
@given(labels=arrays(np.int64, (6, 8), elements=st.integers(0, 2)))
def test_our_reader_gives_exactly_the_labels_back(tmp_path_factory, labels):
    path = write(tmp_path_factory.mktemp("law") / "a.zip", labels)
    if labels.any():
        np.testing.assert_array_equal(back(path, labels.shape), labels)


@pytest.mark.parametrize("left", [32_765, 60_534, 65_534, 70_000])
def test_corners_beyond_sixteen_bits_survive(tmp_path, left):
    labels = np.array([[1, 1, 0, 2, 2, 2], [1, 0, 0, 2, 0, 2], [0, 0, 0, 2, 2, 2]])
    path = write(tmp_path / "a.zip", labels, left=left)
    np.testing.assert_array_equal(back(path, labels.shape, left=left), labels)


def test_without_objects_the_zip_is_empty(tmp_path):
    path = write(tmp_path / "a.zip", np.zeros((2, 3), np.int64))
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == []
    with pytest.raises(DataError, match="holds 0 ImageJ ROIs"):
        read_imagej(path)


@pytest.mark.parametrize("name", ["Zelle é", "cell 🙂"])
def test_names_of_any_characters(tmp_path, name):
    (outline,) = read_imagej(write(tmp_path / "a.zip", np.ones((2, 3), np.int64), name=name))
    assert outline.name == f"{name}-1.roi"


def test_equal_objects_give_equal_bytes_and_a_name_leads_nowhere(tmp_path):
    first, second = (write(tmp_path / f"{word}.zip", np.eye(2, 3, dtype=np.int64), name="..") for word in "ab")
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as archive:
        assert archive.namelist() == ["_-1.roi"]
