"""Terms of data go where those of teachers go: into the record, the report and the student's card."""

import csv
import json
import shutil

from study_usual import job

from segdistill.networks.card import read_card
from segdistill.study.main_job import distill

QUICK = {"teacher": "blurred:2", "teacher_channels": ()}
BOUND = "CC-BY-NC-4.0"


def manifest_of(tissue, folder, terms):
    """A manifest of the tissue whose images have these terms in turn."""
    rows = []
    for number, image in enumerate(sorted((tissue / "images").iterdir())):
        label = tissue / "labels/cell" / image.name.replace(".ome", "")
        rows.append([str(image), str(label), terms[number % len(terms)]])
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as handle:
        csv.writer(handle).writerows([["image", "label:cell", "#licence"], *rows])
    return folder / "manifest.csv"


def licences(folder):
    return json.loads((folder / "run.json").read_text(encoding="utf-8"))["licences"]


def test_terms_that_nobody_states_are_said_not_to_be(tissue, tmp_path):
    done = distill(job(tissue, tmp_path / "run", **QUICK))
    assert licences(done.folder)["data"] == "not stated"
    card = read_card(done.model)
    assert not any(licence.startswith("data") for licence in card.licences)
    assert "Under which terms 8 of its images may be used was not stated." in card.notes
    assert "Research use only" not in done.report.read_text(encoding="utf-8")


def test_terms_that_bind_stand_on_page_one_and_in_the_card(tissue, tmp_path):
    done = distill(job(tissue, tmp_path / "run", data_licence=BOUND, **QUICK))
    assert licences(done.folder)["data"] == BOUND
    card = read_card(done.model)
    assert f"data: {BOUND}" in card.licences
    assert f"Research use only, for it was made from: data: {BOUND}." in card.notes
    assert "Research use only" in (done.model / "README.md").read_text(encoding="utf-8")
    page = done.report.read_text(encoding="utf-8")
    assert page.index("<strong>Research use only</strong>") < page.index('id="ladder"')


def test_a_manifest_states_terms_image_by_image_and_the_setting_wins(tissue, tmp_path):
    manifest = manifest_of(tissue, tmp_path, [BOUND, "CC0-1.0", ""])
    done = distill(job(manifest, tmp_path / "run", **QUICK))
    found = {subject: terms for subject, terms in licences(done.folder).items() if subject.startswith("data")}
    assert found == {
        "data 1, 3 of 8 images": BOUND,
        "data 2, 3 of 8 images": "CC0-1.0",
        "data 3, 2 of 8 images": "not stated",
    }
    shutil.rmtree(tmp_path / "run")
    done = distill(job(manifest, tmp_path / "run", data_licence="MIT", **QUICK))
    assert licences(done.folder)["data"] == "MIT"


def test_a_teacher_made_of_such_data_hands_its_terms_on(tissue, tmp_path):
    first = distill(job(tissue, tmp_path / "first", data_licence=BOUND, **QUICK))
    taught = {"teacher": f"model:{first.model}", "teacher_channels": ("nucleus",), "data_licence": "CC0-1.0"}
    done = distill(job(tissue, tmp_path / "again", **taught))
    assert any(BOUND in note for note in read_card(done.model).notes)
