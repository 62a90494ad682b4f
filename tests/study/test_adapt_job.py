"""`adapt` from end to end: killed it goes on to the same bits, test images stay unseen, faults are told."""

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
from safetensors.torch import load_file

from segdistill.data.datasets import read_dataset
from segdistill.data.simulate import TissueSettings, write_tissue
from segdistill.engine import read_log
from segdistill.engine.duration import training_seconds
from segdistill.errors import ConfigError
from segdistill.files import sha256_file
from segdistill.settings import Adapt, Adapting, validated
from segdistill.study.adapt_job import adapt
from segdistill.study.adapting import known_to
from segdistill.teachers.load import load_teacher

SIZE = 32
PROGRAM = """
import os, signal, sys
from segdistill import cli
from segdistill.training.adapting import AdaptingProblem
collate = AdaptingProblem.collate
def dying(self, samples, step, device):
    if step == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return collate(self, samples, step, device)
AdaptingProblem.collate = dying
cli.main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def tissue(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tissue")
    write_tissue(folder, count=7, seed=5, settings=TissueSettings(height=40, width=56))
    return folder


@pytest.fixture(autouse=True)
def one_thread():
    """Bits are equal for equal numbers of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def settings_of(tissue, out, **changes):
    usual = {
        "data": tissue,
        "out": out,
        "label_sets": ("cell",),
        "label_kind": "instances",
        "teacher": "sam-tiny-tissue",
        "teacher_channels": ("nucleus", "membrane"),
        "size": SIZE,
        "split": (0.6, 0.2, 0.2),
        "protocol": Adapting(steps=10, batch_size=2, validations=5),
        "device": "cpu",
    }
    return Adapt(**(usual | changes))


def untimed(folder):
    return [
        {key: value for key, value in line.items() if key not in {"images_per_s", "data_wait"}}
        for line in read_log(folder / "fit")
    ]


def test_killed_it_goes_on_and_ends_with_the_same_bits(tissue, tmp_path):
    whole = adapt(settings_of(tissue, tmp_path / "whole"))
    killed = tmp_path / "killed"
    words = ["--data", tissue, "--out", killed, "--label-sets", "cell", "--label-kind", "instances"]
    words += ["--teacher", "sam-tiny-tissue", "--teacher-channels", "nucleus", "membrane", "--size", SIZE]
    words += ["--protocol.steps", 10, "--protocol.batch-size", 2, "--protocol.validations", 5, "--device", "cpu"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", PROGRAM, "adapt", *map(str, words)], check=False, env=environment)
    assert done.returncode == -signal.SIGKILL
    assert not (killed / "adapter.json").exists()
    told = []
    again = adapt(settings_of(tissue, killed), notice=told.append)
    assert any("going on after step 6 of 10" in line for line in told)
    assert (killed / "adapter.safetensors").read_bytes() == (whole.folder / "adapter.safetensors").read_bytes()
    assert again.card.weights_sha256 == whole.card.weights_sha256
    assert again.card.validation == whole.card.validation
    assert untimed(killed) == untimed(whole.folder)
    costs = [made.card.provenance["cost"] for made in (whole, again)]
    assert costs[0]["parameters"] == costs[1]["parameters"] > 0
    assert all(
        cost["seconds"] == training_seconds(read_log(made.folder / "fit"), batch_size=2) > 0
        for cost, made in zip(costs, (whole, again), strict=True)
    )
    told.clear()
    assert adapt(settings_of(tissue, killed), notice=told.append) == again  # done before: nothing is done
    assert told == []


def test_its_card_says_what_it_is_and_labels_are_those_of_training_and_validation(tissue, tmp_path):
    made = adapt(settings_of(tissue, tmp_path / "a", labels=2, rank=2, protocol=Adapting(steps=2, validations=1)))
    card = json.loads((tmp_path / "a" / "adapter.json").read_text(encoding="utf-8"))
    assert card["base"]["name"] == "sam-tiny-tissue"
    assert (card["how"], card["rank"], card["scaling"], card["size"]) == ("lora", 2, 1.0, SIZE)
    assert card["outputs"] == ["cell", "cell.boundary"]
    assert (len(card["fitted_on"]), len(card["chosen_on"])) == (2, 2)
    assert set(card["validation"]) == {"dice.cell", "score"}
    assert made.bytes == sum((tmp_path / "a" / f"adapter.{end}").stat().st_size for end in ("json", "safetensors"))
    teacher = load_teacher(f"adapter:{tmp_path / 'a'}")
    assert teacher.contract.labels_seen == card["base"]["labels_seen"] + 4
    assert teacher.maps(np.zeros((3, 40, 56), np.float32)).shape == (2, 40, 56)
    cases = read_dataset(tissue, label_kind="instances").cases
    assert len(known_to(f"adapter:{tmp_path / 'a'}", cases)) == 4
    assert known_to("sam-tiny-tissue", cases) == frozenset()


def test_labels_of_test_images_have_no_say(tissue, tmp_path):
    brief = {"how": "probe", "protocol": Adapting(steps=2, batch_size=2, validations=1)}
    first = adapt(settings_of(tissue, tmp_path / "first", **brief))
    images = {path.name.partition(".")[0]: path for path in (tissue / "images").iterdir()}
    unseen = [stem for stem, path in images.items() if sha256_file(path) not in first.card.used]
    assert len(unseen) == 1
    spoiled = shutil.copytree(tissue, tmp_path / "spoiled")
    (label,) = (spoiled / "labels" / "cell").glob(f"{unseen[0]}.*")
    tifffile.imwrite(label, np.zeros((40, 56), np.uint16))
    second = adapt(settings_of(spoiled, tmp_path / "second", **brief))
    assert second.card.weights_sha256 == first.card.weights_sha256
    assert second.card.validation == first.card.validation


def test_nothing_is_fitted_with_none_but_it_is_scored(tissue, tmp_path):
    made = adapt(settings_of(tissue, tmp_path / "none", how="none", size=None, protocol=Adapting()))
    assert made.card.learned == 0
    assert made.card.validation["dice.cell"] > 0.6
    assert load_file(tmp_path / "none" / "adapter.safetensors") == {}
    teacher, plain = load_teacher(f"adapter:{tmp_path / 'none'}"), load_teacher("sam-tiny-tissue")
    image = np.random.default_rng(0).random((3, 40, 56), dtype=np.float32)
    np.testing.assert_array_equal(teacher.maps(image), plain.maps(image))
    with pytest.raises(ConfigError, match=r"by itself gives cell, cell\.boundary, but the labels are of nucleus"):
        adapt(settings_of(tissue, tmp_path / "other", how="none", protocol=Adapting(), label_sets=("nucleus",)))


def test_one_labelled_image_and_empty_masks_will_do(tmp_path):
    for name in ("images", "labels"):
        (tmp_path / "one" / name).mkdir(parents=True)
    draw = np.random.default_rng(0)
    tifffile.imwrite(tmp_path / "one/images/a.tif", draw.integers(0, 200, (40, 56), dtype=np.uint8))
    tifffile.imwrite(tmp_path / "one/labels/a.tif", np.zeros((40, 56), np.uint16))
    told = []
    made = adapt(
        settings_of(
            tmp_path / "one", tmp_path / "out", label_sets=None, channels=("gray",), teacher_channels=("gray",) * 3,
            split=(1.0, 0.0, 0.0), protocol=Adapting(steps=2, batch_size=4), how="probe",
        ),
        notice=told.append,
    )  # fmt: skip
    assert (len(made.card.fitted_on), made.card.chosen_on, made.card.validation) == (1, (), {})
    assert any("no validation images: the last weights are kept" in line for line in told)
    assert any("all masks are empty" in line for line in told)


def test_what_cannot_be_done_is_refused(tissue, tmp_path):
    with pytest.raises(ConfigError, match=r"labels is 9, but only 4 training images are labelled"):
        adapt(settings_of(tissue, tmp_path / "a", labels=9))
    with pytest.raises(ConfigError, match=r"'model:there' takes no adapter: it is no SAM"):
        adapt(settings_of(tissue, tmp_path / "b", teacher="model:there"))
    with pytest.raises(ConfigError, match="multiple of 8"):
        adapt(settings_of(tissue, tmp_path / "c", size=33))
    adapt(settings_of(tissue, tmp_path / "d", how="probe", protocol=Adapting(steps=1)))
    with pytest.raises(ConfigError, match="begun with other settings"):
        adapt(settings_of(tissue, tmp_path / "d", how="lora", protocol=Adapting(steps=1)))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"how": "full", "rank": 4}, "rank is void with how full"),
        ({"how": "none", "protocol": {"steps": 3}}, "protocol is void with how none"),
        ({"how": "none", "labels": 3}, "labels is void with how none"),
        ({"how": "probe", "protocol": {"checkpointing": True}}, r"protocol\.checkpointing is void with how probe"),
        ({"how": "LoRA"}, "how"),
        ({"rank": 0}, "rank"),
    ],
)
def test_settings_that_would_do_nothing_are_refused(changes, words):
    plain = {"data": "d", "out": "o", "teacher": "sam-vit-b", "teacher_channels": ["a", "b", "c"]}
    with pytest.raises(ConfigError, match=words):
        validated(Adapt, plain | changes)
