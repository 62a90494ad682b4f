"""What happens when a real `segdistill predict` is killed, interrupted, or finds no room."""

import contextlib
import json
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tifffile
import torch

from segdistill.data.labels import Structure
from segdistill.errors import EnvironmentFault
from segdistill.inference import Options, predict_files
from segdistill.networks import Model, ModelCard, build_student, load_model, save_model

CPU = Options(device="cpu")
COUNT = 9

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills and limits as POSIX has them")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A model of random weights and images that take it a while."""
    folder = tmp_path_factory.mktemp("saved")
    torch.manual_seed(0)
    student = build_student("unet-tiny", channels=1, outputs=2)
    torch.nn.init.normal_(student.network.head.weight, std=3.0)
    card = ModelCard(
        architecture="unet-tiny",
        channels=("channel0",),
        normalisation={"rule": "percentile", "lower": 0.1, "upper": 99.9},
        structures=(Structure("cell", instances=True),),
        crop=64,
    )
    save_model(folder / "model", Model(student, card))
    (folder / "images").mkdir()
    for number in range(COUNT):
        array = np.random.default_rng(number).integers(0, 4000, (430, 610)).astype(np.uint16)
        tifffile.imwrite(folder / "images" / f"{number}.tif", array)
    return folder


def command(saved, out, *more):
    words = ["--model", saved / "model", "--images", saved / "images", "--out", out, "--device", "cpu", *more]
    return [sys.executable, "-c", "from segdistill.cli import main; main()", "predict", *map(str, words)]


def masks(out):
    return {path.name: path.read_bytes() for path in sorted(out.glob("*.tif"))}


def recorded(out):
    path = out / "predictions.jsonl"
    return [json.loads(line)["name"] for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture(scope="module")
def reference(saved, tmp_path_factory):
    out = tmp_path_factory.mktemp("reference") / "out"
    predict_files(load_model(saved / "model"), [saved / "images"], out, options=CPU)
    return masks(out)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_killed_and_run_again_gives_the_same_bytes_and_does_nothing_twice(saved, reference, tmp_path, number):
    out = tmp_path / "out"
    with subprocess.Popen(command(saved, out), stderr=subprocess.PIPE, text=True) as process:
        while len(recorded(out)) < 2:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.002)
        process.send_signal(number)
        _, said = process.communicate()
    done = recorded(out)
    assert 2 <= len(done) < COUNT, "it must be killed while it works"
    if number == signal.SIGTERM:
        assert process.returncode == 130
        assert "The same command goes on" in said
        assert not list(out.glob("*.partial"))
    for name, data in masks(out).items():  # a mask with a final name is whole
        assert data == reference[name]
    before = {name: (out / f"{name}.tif").stat().st_mtime_ns for name in done}
    summary = predict_files(load_model(saved / "model"), [saved / "images"], out, options=CPU)
    assert summary.skipped == tuple(done)
    assert {name: (out / f"{name}.tif").stat().st_mtime_ns for name in done} == before
    assert masks(out) == reference
    assert sorted(recorded(out)) == sorted({*recorded(out)})
    assert not list(out.glob("*.partial"))


def test_the_command_segments_and_says_what_failed(saved, reference, tmp_path):
    out, bad = tmp_path / "out", tmp_path / "bad.tif"
    bad.write_bytes(b"no picture")
    finished = subprocess.run(command(saved, out, "--images", bad), capture_output=True, text=True, check=False)
    assert finished.returncode == 1, finished.stderr
    assert f"{COUNT} images segmented" in finished.stderr
    assert f"1 failed, see {out / 'failed.csv'}" in finished.stderr
    assert masks(out) == reference


@contextlib.contextmanager
def room_for(size):
    """Let no file grow beyond so many bytes: to a program this is a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("probabilities", [False, True])
def test_a_full_disk_is_told_and_leaves_no_half_file(saved, tmp_path, probabilities):
    out = tmp_path / "out"
    options = Options(device="cpu", probabilities=probabilities)
    with room_for(3_000), pytest.raises(EnvironmentFault, match=r"no room to write .*0\..*bytes were written"):
        predict_files(load_model(saved / "model"), [saved / "images"], out, options=options)
    assert not list(out.glob("*.tif"))
    assert not list(out.glob("*.partial"))
    assert not (out / "predictions.jsonl").exists()
    summary = predict_files(load_model(saved / "model"), [saved / "images" / "0.tif"], out, options=options)
    assert summary.done == ("0",)


def test_maps_that_cannot_fit_are_refused_before_they_are_begun(saved, tmp_path, monkeypatch):
    monkeypatch.setattr("segdistill.inference.target.shutil.disk_usage", lambda _: type("", (), {"free": 1_000_000}))
    options = Options(device="cpu", probabilities=True)
    needed = f"{4 * 430 * 610 * 3:,} bytes"
    with pytest.raises(EnvironmentFault, match=rf"need about {needed}.*1,000,000 are free"):
        predict_files(load_model(saved / "model"), [saved / "images"], tmp_path / "out", options=options)


def test_two_runs_in_one_folder_are_refused(saved, tmp_path):
    def again(_):
        predict_files(model, [saved / "images"], tmp_path / "out", options=CPU)

    model = load_model(saved / "model")
    with pytest.raises(EnvironmentFault, match="Another run works in"):
        predict_files(model, [saved / "images"], tmp_path / "out", options=CPU, notice=again)


def test_progress_of_a_large_image_is_told(saved, tmp_path, monkeypatch):
    monkeypatch.setattr("segdistill.inference.one_image._SECONDS_BETWEEN_LINES", 0.0)
    told = []
    options = Options(device="cpu", tile=256, halo=32)
    predict_files(
        load_model(saved / "model"), [saved / "images" / "0.tif"], tmp_path / "out", options=options, notice=told.append
    )
    assert len(told) > 4
    assert told[0].startswith("Halo 32 px, ")
    assert "% of its pixels" in told[1]
    assert told[-2] == "[1/1] 0: 100% of its pixels, 0:00 left"
