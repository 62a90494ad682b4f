"""`pretrain` from end to end: killed it goes on to the same bits, leaks and unsuitable teachers are refused."""

import json
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
import tifffile
import torch
from study_usual import job

from segdistill.data.simulate import TissueSettings, write_tissue
from segdistill.engine import read_log
from segdistill.errors import ConfigError, TrainingStopped
from segdistill.files import sha256_file
from segdistill.networks import load_model
from segdistill.settings import Adapt, Adapting, Pretrain, validated
from segdistill.study import adapt, distill, pretrain
from segdistill.training.pretraining import PretrainingProblem

PROGRAM = """
import os, signal, sys
from segdistill import cli
from segdistill.training.pretraining import PretrainingProblem
collate = PretrainingProblem.collate
def dying(self, samples, step, device):
    if step == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return collate(self, samples, step, device)
PretrainingProblem.collate = dying
cli.main(sys.argv[1:])
"""
STEPS = 8


@pytest.fixture(autouse=True)
def one_thread():
    """Bits are equal for equal numbers of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def adapter(tissue, tmp_path_factory):
    """A SAM that was fitted to cells on the tissue's training images."""
    folder = tmp_path_factory.mktemp("adapted") / "adapter"
    settings = Adapt(
        data=tissue,
        out=folder,
        label_sets=("cell",),
        label_kind="instances",
        split=(0.5, 0.25, 0.25),
        teacher="sam-tiny-tissue",
        teacher_channels=("nucleus", "membrane"),
        size=32,
        protocol=Adapting(steps=1, batch_size=1, validations=1),
        device="cpu",
    )
    adapt(settings)
    return folder


def settings_of(tissue, out, **changes):
    usual = {
        "data": tissue,
        "out": out,
        "label_sets": ("cell",),
        "label_kind": "instances",
        "split": (0.5, 0.25, 0.25),
        "how": "masked",
        "student_channels": ("nucleus",),
        "protocol": {"steps": STEPS, "batch_size": 2, "crop": 32},
        "device": "cpu",
    }
    return validated(Pretrain, usual | changes)


def taught(adapter, **changes):
    return {"how": "task", "teacher": f"adapter:{adapter}", "teacher_channels": ("nucleus", "membrane"), **changes}


def losses(folder):
    return [(line["step"], line["loss"], line["terms"]) for line in read_log(folder / "fit") if "loss" in line]


@pytest.mark.parametrize("how", ["contrast", "task"])
def test_killed_it_goes_on_and_ends_with_the_same_bits(how, tissue, adapter, tmp_path):
    more = taught(adapter, views=2, student="unet-tiny") if how == "task" else {"how": how}
    whole = pretrain(settings_of(tissue, tmp_path / "whole", **more))
    killed = tmp_path / "killed"
    words = ["--data", tissue, "--out", killed, "--label-sets", "cell", "--label-kind", "instances", "--how", how]
    words += ["--split", 0.5, 0.25, 0.25, "--student-channels", "nucleus", "--device", "cpu"]
    words += ["--protocol.steps", STEPS, "--protocol.batch-size", 2, "--protocol.crop", 32]
    if how == "task":
        words += ["--teacher", f"adapter:{adapter}", "--teacher-channels", "nucleus", "membrane", "--views", 2]
        words += ["--student", "unet-tiny"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", PROGRAM, "pretrain", *map(str, words)], check=False, env=environment)
    assert done.returncode == -signal.SIGKILL
    assert not (killed / "encoder.json").exists()
    before = (killed / "fit" / "newest.ckpt").stat().st_mtime_ns
    told = []
    again = pretrain(settings_of(tissue, killed, **more), notice=told.append)
    assert any(f"going on after step 5 of {STEPS}" in line for line in told)
    assert (killed / "fit" / "newest.ckpt").stat().st_mtime_ns > before
    assert (killed / "encoder.safetensors").read_bytes() == (whole.folder / "encoder.safetensors").read_bytes()
    assert losses(killed) == losses(whole.folder)
    told.clear()
    assert pretrain(settings_of(tissue, killed, **more), notice=told.append) == again  # done before: nothing is done
    assert told == []


def test_its_card_says_how_it_was_made_and_a_student_begins_with_it(tissue, adapter, tmp_path):
    made = pretrain(settings_of(tissue, tmp_path / "e", student="unet-tiny", **taught(adapter, views=2)))
    card = json.loads((tmp_path / "e" / "encoder.json").read_text(encoding="utf-8"))
    assert (card["architecture"], card["channels"], card["heads"]) == ("unet-tiny", ["nucleus"], None)
    assert f"{STEPS} steps on 4 images of the data" in card["how"]
    files = {sha256_file(path) for path in (tissue / "images").iterdir()}
    assert len(card["images"]) == 4
    assert set(card["images"]) <= files
    assert [taught_by["name"] for taught_by in card["teachers"]] == [f"adapter:{adapter}"]
    assert len(card["labelled"]) == 6  # training and validation images of the adapter
    assert made.card.labels_used >= 6
    usual = job(tissue, tmp_path / "run").protocol.model_dump()
    distill(
        job(
            tissue,
            tmp_path / "run",
            baseline=False,
            protocol={**usual, "encoder_weights": tmp_path / "e"},
        )
    )
    student = load_model(tmp_path / "run" / "model").card
    assert student.provenance["encoder_weights_sha256"] == made.card.weights_sha256
    assert student.labels_used >= made.card.labels_used


def test_the_embedding_of_a_sam_is_learnt_and_further_images_take_part(tissue, tmp_path):
    more = tmp_path / "more"
    write_tissue(more, count=3, seed=77, settings=TissueSettings(height=40, width=56))
    shutil.rmtree(more / "labels")
    told = []
    settings = settings_of(
        tissue,
        tmp_path / "e",
        how="features",
        teacher="sam-tiny-tissue",
        teacher_channels=("nucleus", "membrane"),
        transfer=more,
        views=2,
    )
    made = pretrain(settings, notice=told.append)
    assert "on 4 images of the data and 3 further ones" in made.card.how
    assert len(made.card.images) == 7
    assert made.card.heads == 12
    assert made.losses is not None


def test_its_teacher_is_asked_at_the_size_and_precision_asked_for(tissue, tmp_path):
    sam = {"how": "features", "teacher": "sam-tiny-tissue", "teacher_channels": ("nucleus", "membrane"), "views": 1}
    pretrain(settings_of(tissue, tmp_path / "e", teacher_size=80, teacher_precision="bfloat16", **sam))
    (header,) = (tmp_path / "e" / "targets").glob("*/header.json")
    (contract,) = json.loads(header.read_text(encoding="utf-8"))["contracts"]
    assert (contract["size"], contract["precision"]) == (80, "bfloat16")


@pytest.mark.parametrize("as_what", ["the same file", "another file of the same pixels"])
def test_validation_and_test_images_among_further_ones_are_refused_by_content(as_what, tissue, tmp_path):
    leak = tmp_path / "leak" / "images"
    leak.mkdir(parents=True)
    for path in (tissue / "images").iterdir():
        if as_what == "the same file":
            shutil.copy(path, leak / f"copy_of_{path.name}")
        else:
            pixels, names = tifffile.imread(path), ["nucleus", "membrane"]
            metadata = {"axes": "CYX", "Channel": {"Name": names}}
            tifffile.imwrite(leak / f"copy_of_{path.name}", pixels, metadata=metadata, compression="zlib")
    with pytest.raises(ConfigError, match=r"4 of the images in .* are validation or test images of the data"):
        pretrain(settings_of(tissue, tmp_path / "out", transfer=tmp_path / "leak"))
    assert not (tmp_path / "out" / "fit").exists()


def test_of_images_without_labels_all_are_used(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    draw = np.random.default_rng(0)
    for number in range(3):
        tifffile.imwrite(folder / f"{number}.tif", draw.integers(0, 200, (40, 56), dtype=np.uint8))
    told = []
    settings = settings_of(
        tmp_path, tmp_path / "out", label_sets=None, label_kind=None, channels=("grey",), student_channels=("grey",)
    )
    made = pretrain(settings, notice=told.append)
    assert any("all of its 3 images are used" in line for line in told)
    assert len(made.card.images) == 3


def test_fewer_images_than_a_batch_are_told_from_each_other_no_longer(tissue, tmp_path):
    protocol = {"steps": 2, "batch_size": 5, "crop": 32}
    with pytest.raises(ConfigError, match=r"there are 4 images and steps of 5\. Choose a protocol\.batch_size"):
        pretrain(settings_of(tissue, tmp_path / "out", how="contrast", protocol=protocol))


@pytest.mark.parametrize(("how", "why"), [("masked", "a convolution needs all of them"), ("contrast", "frozen patch")])
def test_ways_of_transformers_are_refused_for_unets(how, why, tissue, tmp_path):
    with pytest.raises(ConfigError, match=f"how is {how}, .*{why}.*not for unet-tiny"):
        pretrain(settings_of(tissue, tmp_path / "out", how=how, student="unet-tiny"))


def test_teachers_that_do_not_suit_are_refused_by_name(tissue, adapter, tmp_path):
    blurred = taught(adapter, teacher="blurred:2")
    with pytest.raises(ConfigError, match="'blurred:2' was not fitted to a task, or has no hidden layers"):
        pretrain(settings_of(tissue, tmp_path / "a", **blurred))
    with pytest.raises(ConfigError, match="is sam-tiny-tissue fitted by lora"):
        pretrain(settings_of(tissue, tmp_path / "b", **taught(adapter, how="features")))
    with pytest.raises(ConfigError, match=r"task\.layers names hidden\.9, but .* has blocks 1 to 4"):
        pretrain(settings_of(tissue, tmp_path / "c", task={"layers": (2, 9)}, **taught(adapter)))
    with pytest.raises(ConfigError, match=r"fitted on the labels of \d of the test images"):
        pretrain(settings_of(tissue, tmp_path / "d", split_seed=5, **taught(adapter)))


def test_what_does_nothing_is_refused():
    def refused(match, **changes):
        with pytest.raises(ConfigError, match=match):
            settings_of("data", "out", **changes)

    refused("contrast is void with how masked", contrast={"momentum": 0.5})
    refused("teacher, views is void with how masked", teacher="sam-vit-b", views=3)
    refused("teacher and teacher_channels must be given with how task", how="task")
    refused("validations is void", protocol={"validations": 3})
    refused("multiple of 16", protocol={"crop": 50})
    named = {"how": "features", "teacher": "t", "teacher_channels": ("a",)}
    refused(r"protocol\.scale is void with how features", protocol={"scale": (1.0, 1.0)}, **named)
    refused("there is nothing to learn", how="task", task={"hidden_weight": 0, "prediction_weight": 0})
    refused("rising order", how="task", task={"layers": (3, 2)})


def test_a_loss_that_is_not_finite_stops_with_the_last_good_weights(tissue, tmp_path, monkeypatch):
    combine = PretrainingProblem.combine

    def broken(self, module, terms, share):
        loss = combine(self, module, terms, share)
        return loss * torch.nan if broken.calls >= 3 else loss

    broken.calls = 0

    def counted(self, module, terms, share):
        broken.calls += 1
        return broken(self, module, terms, share)

    monkeypatch.setattr(PretrainingProblem, "combine", counted)
    with pytest.raises(TrainingStopped, match="after step 2"):
        pretrain(settings_of(tissue, tmp_path / "out"))
    assert (tmp_path / "out" / "fit" / "newest.ckpt").exists()
    assert not (tmp_path / "out" / "encoder.json").exists()
