"""What ``predict`` writes can be scored as it lies there."""

import nibabel
import numpy as np
import pytest
import tifffile

from segdistill.data.labels import Structure
from segdistill.errors import DataError
from segdistill.evaluation import pair_up
from segdistill.inference import Options, predict_files

CELL, VESSEL = Structure("cell", instances=True), Structure("vessel", instances=False)


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, array, photometric="minisblack")


@pytest.fixture
def predicted(tmp_path, bright, discs, png, tif):
    """Write masks of two images, and return their folder."""

    def predict(*outputs, structures=(CELL,), **more):
        picture = discs(50, 71, [(10, 12), (30, 40)])
        for name in ("a", "b"):
            tif(tmp_path / "in" / f"{name}.ome.tif", picture[None], ["DAPI"])
            png(tmp_path / "labels" / f"{name}.png", picture)
        out = tmp_path / "out"
        model = bright("DAPI", structures=structures)
        done = predict_files(model, [tmp_path / "in"], out, options=Options(device="cpu", outputs=outputs, **more))
        assert done.done == ("a", "b")
        return out

    return predict


@pytest.mark.parametrize(
    ("outputs", "ending"),
    [
        (("labels", "geojson", "table"), ".tif"),
        (("png", "labels", "zarr", "geojson", "rois", "table"), ".tif"),
        (("png", "zarr", "geojson"), ".png"),
        (("zarr", "geojson"), ".ome.zarr"),
        (("geojson", "table"), ".geojson"),
    ],
)
def test_of_all_files_of_an_image_the_first_of_a_fixed_order_is_taken(tmp_path, predicted, outputs, ending):
    out = predicted(*outputs)
    found = pair_up(out, tmp_path / "labels")
    assert [pair.prediction for pair in found.pairs] == [out / f"a{ending}", out / f"b{ending}"]


def test_it_is_told_where_there_was_a_choice(tmp_path, predicted):
    (note,) = pair_up(predicted("labels", "geojson"), tmp_path / "labels").notes
    assert "several files of 2 images, as predict wrote them: of each the first of .tif, .png" in note


def test_it_is_not_told_where_there_was_none(tmp_path, predicted):
    assert pair_up(predicted("labels", probabilities=True), tmp_path / "labels").notes == ()


def test_in_the_folder_of_a_structure_the_order_is_the_same(tmp_path, predicted):
    out = predicted("labels", "zarr", structures=(Structure("one", instances=False), VESSEL))
    found = pair_up(out / "vessel", tmp_path / "labels")
    assert [pair.prediction for pair in found.pairs] == [out / "vessel/a.tif", out / "vessel/b.tif"]


def test_planes_that_are_in_two_outputs_are_each_taken_once(tmp_path, predicted):
    # Of a volume label images are one for each plane, a NIfTI one for all.
    out = predicted("labels")
    for number in (1, 2):
        save(out / f"scan/{number:04d}.tif", np.zeros((8, 9), np.uint8))
    nibabel.save(nibabel.Nifti1Image(np.zeros((9, 8, 2), np.uint8), np.eye(4)), out / "scan.nii.gz")
    save(tmp_path / "labels/scan.tif", np.zeros((2, 8, 9), np.uint8))
    found = {pair.name: pair.prediction for pair in pair_up(out, tmp_path / "labels").pairs}
    assert [found["scan/0001"], found["scan/0002"]] == [out / "scan/0001.tif", out / "scan/0002.tif"]


def test_a_file_that_predict_did_not_write_is_not_chosen_from(tmp_path, predicted):
    out = predicted("labels")
    np.save(out / "a.npy", np.zeros((50, 71), np.uint8))
    with pytest.raises(DataError, match=r"several files of one stem, as \S*a\.npy and \S*a\.tif"):
        pair_up(out, tmp_path / "labels")
