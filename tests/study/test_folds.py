"""No teacher that is fitted in a run describes a picture whose labels it knows, under whatever name."""

import csv
import json
import shutil
from pathlib import Path

import pytest
from study_usual import job

from segdistill.data.pseudonyms import image_sha256
from segdistill.errors import ConfigError
from segdistill.networks.card import HASH_DIGITS, read_card
from segdistill.settings import Adaptation, Adapting, Protocol
from segdistill.study.folds import plan_folds
from segdistill.study.main_job import make_bench
from segdistill.study.preparation import prepare
from segdistill.targets import Key, image_key, open_store

BRIEF = Protocol(steps=1, batch_size=2, crop=32, validations=1)


@pytest.fixture
def twins(tissue, tmp_path):
    """A manifest of five pictures, two of which stand in several parts and groups, with and without labels."""
    rows = [
        ("a_bare", 0, "train", "g0", False),  # told by nobody, and the first to be described
        ("a_tested", 1, "test", "g1", True),
        ("f0", 0, "train", "g2", True),
        ("f1", 1, "train", "g3", True),
        ("f1_again", 1, "train", "g4", True),
        ("f2", 2, "train", "g5", True),
        ("f3", 3, "validation", "g6", True),
        ("f0_chosen_by", 0, "validation", "g7", True),
        ("f4", 4, "test", "g8", True),
    ]
    folder = tmp_path / "data"
    folder.mkdir()
    with (folder / "cases.csv").open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["image", "label:cell", "split", "group"])
        for name, number, split, group, labelled in rows:
            shutil.copyfile(tissue / "images" / f"tissue_{number:04d}.ome.tif", folder / f"{name}.ome.tif")
            shutil.copyfile(tissue / "labels" / "cell" / f"tissue_{number:04d}.tif", folder / f"{name}_cell.tif")
            writer.writerow([f"{name}.ome.tif", f"{name}_cell.tif" if labelled else "", split, group])
    return folder / "cases.csv"


def prepared_of(settings):
    return prepare(settings, notice=lambda _: None)


def usual(twins, out, **changes):
    return job(twins, out, teacher="fit:unet-tiny", labels=None, protocol=BRIEF, **changes)


def test_what_is_left_out_is_left_out_under_every_name_and_described_under_every_name(twins, tmp_path):
    prepared = prepared_of(usual(twins, tmp_path / "run"))
    all_of_it, *folds = plan_folds(prepared, prepared.labelled("train"), who="it", instead="stop")
    assert all_of_it.describes == ()
    assert len(all_of_it.validation) == 2
    described = {frozenset(fold.describes): fold for fold in folds}
    assert set(described) == {
        frozenset({"a_bare", "f0", "f0_chosen_by"}),
        frozenset({"a_tested", "f1", "f1_again"}),
        frozenset({"f2"}),
    }
    for fold in folds:
        assert not {sample.name for sample in (*fold.training, *fold.validation)} & set(fold.describes)
    assert {len(fold.validation) for fold in folds} == {1, 2}


@pytest.mark.parametrize("how", ["fit", "adapt"])
def test_no_teacher_describes_a_picture_whose_labels_it_knows(how, twins, tmp_path):
    settings = usual(twins, tmp_path / "run", baseline=False)
    if how == "adapt":
        few = Adapting(steps=1, batch_size=1, validations=1)
        spec = Adaptation(how="lora", rank=2, size=32, protocol=few)
        settings = job(twins, tmp_path / "run", teacher="sam-tiny-tissue", adapt=spec, labels=None, protocol=BRIEF)
    prepared = prepared_of(settings)
    make_bench(settings, prepared, lambda _: None)
    (folder,) = (tmp_path / "run" / "targets").iterdir()
    store = open_store(folder)
    cases = {case.name: case for case in prepared.dataset.cases}
    for name, sample in prepared.samples.items():
        number = store.parameters(Key(image_key(sample.image)))["teacher"]
        own = tmp_path / "run" / "teachers" / "teacher" / ("all" if number == 0 else f"without_{number}")
        told = {each[:HASH_DIGITS] for each in used_by(own)}
        if name not in ("f3", "f4"):  # pictures that lie in no training image are described by all
            assert image_sha256(cases[name])[:HASH_DIGITS] not in told, (name, number)


def used_by(folder: Path):
    if (folder / "model").is_dir():
        return read_card(folder / "model").learnt_from
    card = json.loads((folder / "adapter.json").read_text(encoding="utf-8"))
    return [*card["fitted_on"], *card["chosen_on"]]


def test_a_teacher_that_an_earlier_version_fitted_on_twins_teaches_no_longer(twins, tmp_path):
    settings = usual(twins, tmp_path / "run")
    prepared = prepared_of(settings)
    make_bench(settings, prepared, lambda _: None)
    make_bench(settings, prepared, lambda _: None)  # its own go on
    teachers = tmp_path / "run" / "teachers" / "teacher"
    shutil.rmtree(teachers / "without_2")
    shutil.copytree(teachers / "all", teachers / "without_2")
    with pytest.raises(ConfigError, match=r"without_2 was fitted on \d images that it should not know"):
        make_bench(settings, prepared, lambda _: None)
