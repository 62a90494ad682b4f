"""Without the extra, medical files are refused with the way to install it, and nothing else needs it."""

import subprocess
import sys

import numpy as np
import pytest

from segdistill.data import read_dataset, read_image, read_labels
from segdistill.data.nifti_writer import nifti_volume
from segdistill.data.readers import dicom_header
from segdistill.errors import MissingExtra

INSTALL = r"pip install 'segdistill\[medical\]'"


@pytest.fixture
def without(monkeypatch):
    for name in ("pydicom", "nibabel", "nibabel.loadsave", "nibabel.nifti1", "highdicom", "highdicom.seg"):
        monkeypatch.setitem(sys.modules, name, None)
    dicom_header._read.cache_clear()


def test_files_are_refused_with_the_way_to_install_what_reads_them(tmp_path, dicom, without):
    dicom(tmp_path / "images" / "a.dcm", np.zeros((2, 3), np.uint8))
    (tmp_path / "b.nii.gz").write_bytes(b"?")
    with pytest.raises(MissingExtra, match=f"pydicom.*{INSTALL}"):
        read_image(tmp_path / "images" / "a.dcm")
    with pytest.raises(MissingExtra, match=INSTALL):
        read_labels(tmp_path / "images" / "a.dcm")
    with pytest.raises(MissingExtra, match=f"nibabel.*{INSTALL}"):
        read_image(tmp_path / "b.nii.gz")
    with pytest.raises(MissingExtra, match=INSTALL):
        read_dataset(tmp_path)


def test_masks_are_refused_likewise(tmp_path, without):
    with pytest.raises(MissingExtra, match=INSTALL), nifti_volume(tmp_path / "a.nii", (1, 2, 3), np.dtype("u1")):
        pass


def test_reading_other_images_imports_none_of_it():
    program = (
        "import sys, segdistill.data, segdistill.inference.folder, segdistill.inference.file_outputs;"
        "sys.exit(any(name in sys.modules for name in ('pydicom', 'nibabel', 'highdicom')))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
