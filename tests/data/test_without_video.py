"""Without the extra, clips are refused with the way to install it, and nothing else needs it."""

import subprocess
import sys
from fractions import Fraction

import pytest

from segdistill.data import read_dataset, read_image
from segdistill.data.clip_writer import COLOUR, clip_file
from segdistill.data.readers import clip_index
from segdistill.errors import MissingExtra

INSTALL = r"needs PyAV, which is not installed\. Run: pip install 'segdistill\[video\]'"


@pytest.fixture
def without(monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    clip_index._read.cache_clear()


def test_clips_are_refused_with_the_way_to_install_what_reads_them(tmp_path, without):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.mp4").write_bytes(b"?")
    with pytest.raises(MissingExtra, match=rf"a\.mp4 {INSTALL}"):
        read_image(tmp_path / "images" / "a.mp4")
    with pytest.raises(MissingExtra, match=INSTALL):
        read_dataset(tmp_path)


def test_clips_are_not_written_either(tmp_path, without):
    with (
        pytest.raises(MissingExtra, match=INSTALL),
        clip_file(tmp_path / "a.avi", size=(3, 5), rate=Fraction(5), codec=COLOUR),
    ):
        pass
    assert not list(tmp_path.iterdir())


def test_reading_other_images_imports_none_of_it():
    program = (
        "import sys, segdistill.data, segdistill.inference.folder, segdistill.inference.file_outputs;"
        "sys.exit('av' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
