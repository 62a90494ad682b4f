"""Every command that leaves files of images: with --private, none of them names a patient, a file or a folder of the
data, neither openly nor in what it holds packed."""

import csv
import io
import json
import shlex
import shutil
import sys
import zipfile

import numpy as np
import pytest
import tifffile
import torch
import transformers
from tests.naming import naming

from segdistill.data.simulate import TissueSettings, write_tissue

PATIENT, FOLDER, FURTHER, ELSEWHERE = "MUELLER_1970", "Ward-Nine", "SCHMIDT_1981", "WEBER_1944"
WORDS = (PATIENT, FOLDER, FURTHER, ELSEWHERE)
DATA = ("--label-sets", "cell", "--label-kind", "instances", "--split", 0.5, 0.25, 0.25, "--device", "cpu")
BRIEF = ("--protocol.steps", 2, "--protocol.batch-size", 2)
DISTILL = (
    "--teacher", "sam-tiny-tissue", "--teacher-channels", "nucleus", "membrane", "--student", "unet-tiny",
    "--student-channels", "nucleus", *BRIEF, "--protocol.crop", 32, "--protocol.validations", 1,
)  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def patients(folder, name, *, count, seed):
    """Fields in files that are called after a patient, their groups in the manifest too; the last file is torn."""
    made = folder.parent / f"made{seed}"
    write_tissue(made, count=count, seed=seed, settings=TissueSettings(height=48, width=64))
    folder.mkdir(parents=True)
    rows = []
    for number, image in enumerate(sorted((made / "images").iterdir())):
        own, label = folder / f"{name}_{number}.ome.tif", folder / f"{name}_{number}_cell.tif"
        shutil.copy(made / "labels/cell" / image.name.replace(".ome", ""), label)
        own.write_bytes(image.read_bytes() if number < count - 1 else b"torn")
        rows.append([own.name, label.name, f"{name}, visit {number // 2}"])
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as handle:
        csv.writer(handle).writerows([["image", "label:cell", "group"], *rows])
    shutil.rmtree(made)
    return folder / "manifest.csv"


@pytest.fixture(scope="module")
def ward(tmp_path_factory):
    return patients(tmp_path_factory.mktemp("hospital") / FOLDER, PATIENT, count=9, seed=5)


@pytest.fixture(scope="module")
def further(tmp_path_factory):
    return patients(tmp_path_factory.mktemp("archive") / FURTHER, FURTHER, count=3, seed=6)


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    return patients(tmp_path_factory.mktemp("partner") / ELSEWHERE, ELSEWHERE, count=3, seed=7)


@pytest.fixture
def private(run, monkeypatch, ward, tmp_path):
    """Run a command privately, into a folder beside nothing else, and return where its files are."""

    def call(command, *words, out=tmp_path / "out", status=0):
        given = [command, "--data", ward, "--out", out, *DATA, *words, "--private"]
        monkeypatch.setattr(sys, "argv", ["segdistill", *map(str, given)])
        done = run(*given)
        assert done.status == status, done.err
        return out

    return call


def test_the_search_finds_names_wherever_they_are(tmp_path):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner.txt", f"of {PATIENT} " * 9)
    (tmp_path / "a.zip").write_bytes(packed.getvalue())
    np.savez_compressed(tmp_path / "b.npz", **{PATIENT: np.zeros(3)})
    (tmp_path / "c.html").write_text("<a href='data:text/csv;base64,77u/TVVFTExFUl8xOTcwLDE='>")
    (tmp_path / "d.zarr").mkdir()
    (tmp_path / "d.zarr/zarr.json").write_text(json.dumps({"name": PATIENT.lower()}))
    (tmp_path / f"{PATIENT}.bin").write_bytes(b"")
    tifffile.imwrite(tmp_path / "e.tif", np.zeros((3, 4), np.uint8), description=PATIENT)
    (tmp_path / "f.json").write_text("nobody")
    found = [path.removeprefix(f"{tmp_path}/") for path in naming(tmp_path, PATIENT)]
    assert found == [f"{PATIENT}.bin", "a.zip", "b.npz", "c.html", "d.zarr/zarr.json", "e.tif"]


def test_distill_names_nobody_of_its_own_and_of_other_data(private, elsewhere, tmp_path):
    plan = tmp_path / "plan.toml"
    plan.write_text(f'[shift.partner]\ndata = "{elsewhere}"\nlabel_kind = "instances"\nstructure = "cell"\n')
    out = private("distill", *DISTILL, "--config", plan)
    assert (out / "arms/student/0/shift/partner.json").is_file()
    assert naming(out, *WORDS) == []


def test_an_open_run_does_name_them(run, ward, tmp_path):
    out = tmp_path / "out"
    assert run("distill", "--data", ward, "--out", out, *DATA, *DISTILL).status == 0
    named = {path.removeprefix(f"{out}/") for path in naming(out, *WORDS)}
    assert {"report.html", "scores.csv", "run.json", "settings.json"} <= named


def test_adapt_names_nobody(private):
    out = private(
        "adapt", "--teacher", "sam-tiny-tissue", "--teacher-channels", "nucleus", "membrane", "--size", 32, *BRIEF,
        "--protocol.validations", 1,
    )  # fmt: skip
    assert (out / "adapter.safetensors").is_file()
    assert naming(out, *WORDS) == []


@pytest.mark.parametrize("how", ["masked", "features"])
def test_pretrain_names_nobody_of_its_data_and_of_further_images(private, further, how):
    asked = ("--teacher", "sam-tiny-tissue", "--teacher-channels", "nucleus", "membrane") if how == "features" else ()
    words = ("--how", how, "--student-channels", "nucleus", *asked, "--transfer", further, *BRIEF)
    out = private("pretrain", *words, "--protocol.crop", 32)
    assert json.loads((out / "settings.json").read_text())["transfer"].startswith("private, its path has SHA-256 ")
    assert naming(out, *WORDS) == []


def test_agglomerate_names_nobody(private, tmp_path):
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = transformers.Dinov2Model(transformers.Dinov2Config(**sizes, image_size=28, patch_size=14))
    model.eval().save_pretrained(tmp_path / "dino")
    said = {"image_mean": [0.5] * 3, "image_std": [0.25] * 3, "rescale_factor": 1 / 255, "do_normalize": True}
    (tmp_path / "dino/preprocessor_config.json").write_text(json.dumps(said))
    out = private(
        "agglomerate",
        "--teachers",
        f"hf:{tmp_path / 'dino'}",
        "--teacher-channels",
        "nucleus",
        "--student",
        "unet-tiny",
        "--student-channels",
        "nucleus",
        *BRIEF,
        "--protocol.size",
        32,
        "--protocol.validations",
        1,
        "--probe",
        status=1,
    )  # fmt: skip  (1: the torn image was left out)
    assert shlex.join(["--data", "DATA"]) in json.loads((out / "run.json").read_text())["command"]
    assert naming(out, *WORDS) == []


def test_synthesize_names_nobody(private):
    pytest.importorskip("diffusers", reason="diffusers is not installed")
    out = private(
        "synthesize", "--images", 3, "--size", 32, "--held-back", 0.3, "--network.width", 8, "--network.blocks", 1,
        *BRIEF, "--sampling.steps", 2, "--given-masks",
    )  # fmt: skip
    assert (out / "report.html").is_file()
    assert naming(out, *WORDS) == []


def test_export_keeps_no_name_of_the_images_that_it_compares_on(private, run, ward, tmp_path):
    model = private("distill", *DISTILL) / "model"
    out = tmp_path / "exported"
    sound = [ward.parent / f"{PATIENT}_{number}.ome.tif" for number in range(2)]
    run("export", "--model", model, "--out", out, "--formats", "torch-export", "--tile", 64, "--check", *sound)
    assert any(out.iterdir())
    assert naming(out, *WORDS) == []


def test_what_lies_within_the_folder_of_the_data_is_not_named_by_its_path(private, ward):
    out = private("distill", *DISTILL, out=ward.parent / "run")
    assert naming(out, FOLDER) == []
