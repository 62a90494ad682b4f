import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segdistill.datasets import ENTRIES


@pytest.fixture
def moles(tmp_path) -> Path:
    """Two dermoscopic images in the layout of PH2."""
    for name in ("IMD002", "IMD003"):
        case = tmp_path / "datasets" / "ph2" / "PH2 Dataset images" / name
        for folder, file in (("Dermoscopic_Image", name), ("lesion", f"{name}_lesion")):
            (case / f"{name}_{folder}").mkdir(parents=True)
            pixels = np.zeros((6, 8, 3) if folder == "Dermoscopic_Image" else (6, 8), np.uint8)
            pixels[2:4, 3:5] = 255
            Image.fromarray(pixels).save(case / f"{name}_{folder}" / f"{file}.bmp")
    return tmp_path / "datasets"


def test_list_names_all_with_terms_and_how_to_get_them(run):
    out = run("datasets", "list").out
    for name, entry in ENTRIES.items():
        assert f"\n{name} " in out
        assert entry.licence in out
        assert entry.page in out
        assert entry.by_hand in out


def test_a_manifest_is_written_where_the_data_set_is_and_check_reads_it(run, moles):
    done = run("datasets", "manifest", "ph2", "--folder", moles)
    manifest = moles / "ph2-manifest" / "manifest.csv"
    assert (done.status, done.err) == (0, "")
    assert f"{manifest}: 2 images of 2 groups" in done.out
    assert f"To use it: --data {manifest}" in done.out
    assert run("check", manifest, "--page", moles / "check.html").status == 0


def test_source_and_out_say_other_places(run, moles, tmp_path):
    done = run("datasets", "manifest", "ph2", "--source", moles / "ph2", "--out", tmp_path / "here")
    assert done.status == 0
    assert (tmp_path / "here" / "manifest.csv").is_file()


def test_fetch_of_what_is_not_open_says_what_to_do(run, tmp_path):
    done = run("datasets", "fetch", "drive", "--folder", tmp_path)
    assert done.status == 3
    assert "Join the challenge" in done.err


def test_fetch_without_a_token_says_how_to_come_by_one(run, tmp_path, monkeypatch):
    monkeypatch.delenv("DEEPCELL_ACCESS_TOKEN", raising=False)
    done = run("datasets", "fetch", "tissuenet", "--folder", tmp_path)
    assert done.status == 2
    assert "DEEPCELL_ACCESS_TOKEN is not set. Register at https://users.deepcell.org" in done.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["list", "ph2"], "takes no name"),
        (["fetch"], "Name the data set"),
        (["manifest"], "Name the data set"),
        (["manifest", "ph3"], "Did you mean 'ph2'?"),
        (["fetch", "chaos", "--out", "x"], "--folder says where"),
        (["manifest", "ph2", "--source", "nowhere"], "There is no folder nowhere"),
    ],
)
def test_what_is_not_understood_is_told(words, said, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run("datasets", *words)
    assert done.status == 2
    assert said in done.err


def test_the_command_needs_no_torch():
    code = "import sys; from segdistill.cli import status; status(['datasets', 'list']); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("\nFalse\n")
