"""Masks of whole volumes are scored plane by plane."""

import nibabel
import numpy as np
import pytest
import tifffile

from segdistill.evaluation.folders import score_folders
from segdistill.evaluation.pairing import pair_up

VOXELS = np.zeros((31, 20, 3), np.uint8)  # x y z
VOXELS[3:9, 2:8, 0] = VOXELS[10:20, 5:9, 2] = 1


def nifti(path, voxels, affine=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4) if affine is None else affine), path)


def scored(masks, labels):
    return score_folders(pair_up(masks, labels), structure="cell", label_kind="binary")


def dice(scores):
    return {row["field"]: row["value"] for row in scores.rows if row["metric"] == "dice"}


def test_each_plane_of_a_volume_is_a_field(tmp_path):
    nifti(tmp_path / "labels" / "scan.nii.gz", VOXELS)
    half = VOXELS.copy()
    half[6:9, :, 0] = 0  # of 36 pixels 18 are left: Dice = 2 × 18 / (18 + 36) = 2/3
    nifti(tmp_path / "masks" / "scan.nii", half)
    found = dice(scored(tmp_path / "masks", tmp_path / "labels"))
    assert set(found) == {"scan/0001", "scan/0002", "scan/0003"}
    assert (found["scan/0001"], found["scan/0003"]) == (pytest.approx(2 / 3), 1.0)


def test_planes_in_files_of_their_own_belong_to_a_volume_s(tmp_path):
    nifti(tmp_path / "labels" / "scan.nii.gz", VOXELS)
    for place in range(3):
        path = tmp_path / "masks" / "scan" / f"{place + 1:04d}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(path, VOXELS[:, :, place].T)
    found = dice(scored(tmp_path / "masks", tmp_path / "labels"))
    assert (found["scan/0001"], found["scan/0003"]) == (1.0, 1.0)


def test_a_mask_that_lies_elsewhere_has_failed(tmp_path):
    nifti(tmp_path / "labels" / "scan.nii", VOXELS)
    nifti(tmp_path / "masks" / "scan.nii", VOXELS, np.diag([-1, 1, 1, 1]))
    scores = scored(tmp_path / "masks", tmp_path / "labels")
    assert len(scores.failed) == 3
    assert all("lies elsewhere" in reason for reason in scores.failed.values())
