"""A run goes on wherever it and its data lie by now, and nothing is written where it does not belong."""

import csv
import json
import shutil
from pathlib import Path

import pytest
from pydantic import ValidationError
from study_usual import job, plan

from segdistill.errors import ConfigError
from segdistill.networks.card import HASH_DIGITS, read_card
from segdistill.settings import Distill
from segdistill.study.arms import DONE
from segdistill.study.main_job import distill
from segdistill.study.preparation import file_marks, prepare
from segdistill.study.study_account import conclude_study
from segdistill.study.study_job import study


def done_at(folder):
    return {path.relative_to(folder): path.stat().st_mtime_ns for path in folder.rglob(DONE)}


def test_a_run_goes_on_where_it_was_moved_with_its_data(tissue, tmp_path, monkeypatch):
    here, there = tmp_path / "here", tmp_path / "there"
    shutil.copytree(tissue, here / "tissue")
    monkeypatch.chdir(here)
    first = distill(job("tissue", "run"))
    monkeypatch.chdir(tmp_path)
    shutil.move(here, there)
    before = done_at(there / "run")
    second = distill(job(there / "tissue", there / "run"))
    assert done_at(there / "run") == before
    assert second.run_id == first.run_id
    (there / "tissue" / "images" / "tissue_0003.ome.tif").unlink()
    for path in (there / "tissue" / "labels").rglob("tissue_0003*"):
        path.unlink()
    with pytest.raises(ConfigError, match="begun with other data"):
        distill(job(there / "tissue", there / "run"))


def test_a_study_goes_on_where_it_was_moved(tissue, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study(plan(tissue, "s", labels=(2,)))
    shutil.move(tmp_path / "s", tmp_path / "moved")
    before = done_at(tmp_path / "moved")
    state = study(plan(tissue, tmp_path / "moved", labels=(2,)))
    assert not state.missing
    assert done_at(tmp_path / "moved") == before


def test_a_refused_call_leaves_nothing_in_a_folder_of_somebody_else(tissue, tmp_path):
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    for call in (lambda: distill(job(tissue, tmp_path)), lambda: study(plan(tissue, tmp_path))):
        with pytest.raises(ConfigError, match=r"is not empty and holds no run \(notes.txt\)"):
            call()
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("place", ["images", "images/run", "labels/cell/run"])
def test_no_run_lies_among_the_images_that_it_is_of(tissue, place):
    with pytest.raises((ConfigError, ValidationError), match="lies among the data's own"):
        job(tissue, tissue / place)
    assert isinstance(job(tissue, tissue / "runs"), Distill)


def test_a_model_knows_the_images_whose_labels_it_learnt_from(tissue, tmp_path):
    told = []
    first = distill(job(tissue, tmp_path / "first"), notice=told.append)
    card = read_card(first.folder / "arms" / "baseline" / "0" / "model")
    split = json.loads((first.folder / "run.json").read_text(encoding="utf-8"))["split"]
    assert len(card.learnt_from) == 2 + len(split["validation"])
    assert all(len(mark) == HASH_DIGITS for mark in card.learnt_from)
    teacher = {
        "teacher": f"model:{first.folder / 'arms' / 'baseline' / '0' / 'model'}",
        "teacher_channels": ("nucleus",),
    }
    second = distill(job(tissue, tmp_path / "second", **teacher), notice=told.append)
    known = len(card.learnt_from)
    assert any(f"was fitted on the labels of {known} of these images: not out of fold there" in line for line in told)
    (run,) = [
        each
        for each in json.loads((second.folder / "run.json").read_text(encoding="utf-8"))["arms"]
        if each["arm"]["name"] == "student"
    ]
    assert run["labels"]["shared"] == known  # both were given the same two labels, and chosen by the same images


def test_a_model_that_learnt_from_test_images_teaches_nothing_that_is_tested_on_them(tissue, tmp_path):
    first = distill(job(tissue, tmp_path / "first"))
    teacher = {
        "teacher": f"model:{first.folder / 'arms' / 'baseline' / '0' / 'model'}",
        "teacher_channels": ("nucleus",),
    }

    def teach(split_seed):
        distill(job(tissue, tmp_path / f"other{split_seed}", split_seed=split_seed, **teacher))

    held = {seed: held_out(tissue, tmp_path / "cards", seed) for seed in range(1, 6)}
    known = read_card(Path(teacher["teacher"].partition(":")[2])).learnt_from
    leaking = next(seed for seed, marks in held.items() if marks & set(known))
    with pytest.raises(ConfigError, match=r"was fitted on the labels of \d of the test images.*make it anew"):
        teach(leaking)


def held_out(data, out, seed):
    """What a card would call the test images of a division."""
    prepared = prepare(job(data, out, split_seed=seed), notice=lambda _: None)
    return set(file_marks(prepared, set(prepared.split["test"])))


def test_scores_say_of_which_image_they_are_where_a_field_has_several(tissue, tmp_path):
    names = sorted(path.name.partition(".")[0] for path in (tissue / "images").iterdir())
    rows = ["image,label,group,split"]
    for number, name in enumerate(names):
        split = "test" if number < 2 else "validation" if number == 2 else "train"
        group = "patient" if number < 2 else name
        rows.append(f"{tissue}/images/{name}.ome.tif,{tissue}/labels/cell/{name}.tif,{group},{split}")
    (tmp_path / "list.csv").write_text("\n".join(rows), encoding="utf-8")
    finished = distill(job(tmp_path / "list.csv", tmp_path / "run", label_sets=None))
    scores = list(csv.DictReader((finished.folder / "scores.csv").read_text(encoding="utf-8").splitlines()))
    own = [row for row in scores if (row["arm"], row["metric"]) == ("student", "dice")]
    assert {row["field"] for row in own} == {"patient"}
    assert len({row["image"] for row in own}) == len(own) == 2


def test_whom_no_label_was_given_is_described_so(tissue, tmp_path):
    finished = distill(job(tissue, tmp_path / "run", labels=0, baseline=False, all_labels=True))
    page = finished.report.read_text(encoding="utf-8")
    ladder = page.partition('id="ladder"')[2].partition("</figure>")[0]
    assert "the teacher alone, not one label" in ladder
    assert "taught by labels and teacher" not in ladder


def test_conclusions_of_a_moved_study_stand_in_its_new_place(tissue, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = plan(tissue, "s", labels=(2,))
    study(settings)
    shutil.move(tmp_path / "s", tmp_path / "moved")
    settings = plan(tissue, tmp_path / "moved", labels=(2,))
    account = conclude_study(settings, study(settings))
    assert account.page == tmp_path / "moved" / "report.html"
    assert not (tmp_path / "s").exists()
