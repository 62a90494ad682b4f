"""A SAM that is asked at another size or precision, from the command line to the store of its targets."""

import json

import numpy as np
import pytest

from segdistill.cli import status
from segdistill.data.simulate import TissueSettings, write_tissue
from segdistill.targets import open_store

COUNT = 2


@pytest.fixture(scope="module")
def tissue(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tissue")
    write_tissue(folder, count=COUNT, seed=2, settings=TissueSettings(height=48, width=64))
    return folder


@pytest.fixture
def targets(tissue, sam_folder, tmp_path):
    """Run the command; return its exit status."""

    def run(*more, out=tmp_path, teacher=f"sam:{sam_folder}"):
        words = ["targets", "--data", tissue, "--out", out, "--label-sets", "cell", "--label-kind", "instances"]
        words += ["--teacher", teacher, "--teacher-channels", "nucleus", "membrane", "--device", "cpu"]
        return status([str(word) for word in [*words, "--prompting", "boxes", *more]])

    return run


def contract_in(folder):
    (contract,) = json.loads((folder / "header.json").read_text(encoding="utf-8"))["contracts"]
    return contract


def said(folder):
    store = open_store(folder)
    return {case: store.get(key)["maps"].astype(np.float32) for case, key in store.described().items()}


def test_the_header_says_the_size_and_precision_that_were_asked_for(targets, tmp_path):
    assert targets("--teacher-size", 96, "--teacher-precision", "bfloat16") == 0
    (folder,) = tmp_path.iterdir()
    contract = contract_in(folder)
    assert (contract["size"], contract["tile"]) == (96, 192)
    assert contract["precision"] == "bfloat16"
    assert len(said(folder)) == COUNT


def test_another_size_or_precision_means_other_targets(targets, tmp_path):
    asked = {(64, "float32"): [], (96, "float32"): ["--teacher-size", 96]}
    asked[64, "bfloat16"] = ["--teacher-precision", "bfloat16"]
    for number, (more, count) in enumerate(zip(asked.values(), (1, 2, 3), strict=True)):
        assert targets(*more) == 0, number
        assert len(list(tmp_path.iterdir())) == count  # none was taken for another's
    stores = {
        (found["size"], found["precision"]): folder for folder in tmp_path.iterdir() for found in [contract_in(folder)]
    }
    assert set(stores) == set(asked)
    usual = said(stores[64, "float32"])
    for other in ((96, "float32"), (64, "bfloat16")):
        assert any((maps != usual[case]).any() for case, maps in said(stores[other]).items()), other


def test_the_size_it_was_made_for_is_no_other_size(targets, tmp_path):
    assert targets() == 0
    assert targets("--teacher-size", 64, "--teacher-precision", "float32") == 0
    assert len(list(tmp_path.iterdir())) == 1


def test_verifying_asks_as_the_filling_did(targets, capsys):
    asked = ["--teacher-size", 96, "--teacher-precision", "bfloat16"]
    assert targets(*asked) == 0
    assert targets(*asked, "--verify") == 0
    assert "1 made again, 0 differ" in capsys.readouterr().out


def test_a_size_that_is_no_multiple_of_the_patch_is_refused(targets, capsys, tmp_path):
    assert targets("--teacher-size", 100) == 2
    assert "100 px, but its patches are 8 px wide. Choose a multiple of 8" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_teacher_without_a_size_says_so(targets, capsys):
    assert targets("--teacher-size", 96, teacher="maps:there") == 2
    assert "teacher_size 96 is void with the teacher maps:there: its maps are stored" in capsys.readouterr().err
