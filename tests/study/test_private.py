"""Private runs: no file that they leave names a patient, a file or the data's folder."""

import csv
import shlex
import sys

import pytest
from tests.naming import naming

from segdistill.data.case import Case
from segdistill.data.pseudonyms import pseudonymous
from segdistill.data.simulate import TissueSettings, write_tissue
from segdistill.errors import ConfigError
from segdistill.files import sha256_file
from segdistill.settings import Distill, Protocol, Study, validated
from segdistill.study.main_job import distill
from segdistill.study.study_account import conclude_study
from segdistill.study.study_job import study

NAME = "Kowalska"


@pytest.fixture(scope="module")
def clinic(tmp_path_factory):
    """A manifest of eight fields of four patients, files and folder named after them, one file damaged."""
    made = tmp_path_factory.mktemp("made")
    write_tissue(made, count=9, seed=5, settings=TissueSettings(height=48, width=64))
    folder = tmp_path_factory.mktemp(f"{NAME}_clinic")
    rows = []
    for number, image in enumerate(sorted((made / "images").iterdir())):
        own = folder / f"{NAME}{number}.ome.tif"
        own.write_bytes(image.read_bytes() if number < 8 else b"torn")
        label = folder / f"{NAME}{number}_label.tif"
        label.write_bytes((made / "labels/cell" / image.name.replace(".ome.tif", ".tif")).read_bytes())
        rows.append([own.name, label.name, f"{NAME}, patient {number // 2}"])
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as handle:
        csv.writer(handle).writerows([["image", "label", "group"], *rows])
    return folder / "manifest.csv"


def settings_of(clinic, out, **changes):
    usual = {
        "data": clinic,
        "out": out,
        "label_kind": "instances",
        "structure": "cell",
        "teacher": "fit:unet-tiny",
        "teacher_channels": ("nucleus", "membrane"),
        "student": "unet-tiny",
        "student_channels": ("nucleus",),
        "split": (0.5, 0.25, 0.25),
        "protocol": Protocol(steps=2, batch_size=2, crop=32, validations=1),
        "device": "cpu",
        "private": True,
    }
    return Distill(**(usual | changes))


def test_no_file_of_a_private_run_names_anybody_and_one_of_an_open_run_does(clinic, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["segdistill", "distill", "--data", str(clinic), f"--data={clinic}"])
    told = []
    finished = distill(settings_of(clinic, tmp_path / "private"), notice=told.append)
    assert naming(tmp_path / "private", NAME) == []
    assert shlex.join(["--data", "DATA", "--data=DATA"]) in finished.report.read_text(encoding="utf-8")
    assert any(line.startswith("Left out:") and NAME in line for line in told)  # who runs it is told
    rows = list(csv.DictReader((tmp_path / "private/scores.csv").read_text(encoding="utf-8").splitlines()))
    assert all(row["field"].startswith("group-") for row in rows)
    distill(settings_of(clinic, tmp_path / "open", private=False))
    assert naming(tmp_path / "open", NAME)


def test_a_private_run_goes_on_but_not_on_other_data(clinic, tmp_path):
    first = distill(settings_of(clinic, tmp_path / "run"))
    assert distill(settings_of(clinic, tmp_path / "run")).verdict == first.verdict
    with pytest.raises(ConfigError, match="data: private, its path has SHA-256"):
        distill(settings_of(clinic.with_name("other.csv"), tmp_path / "run"))


def test_a_private_study_names_nobody(clinic, tmp_path):
    plan = {
        "data": clinic,
        "out": tmp_path / "study",
        "label_kind": "instances",
        "structure": "cell",
        "student_channels": ("nucleus",),
        "students": ("unet-tiny",),
        "teachers": {"full": {"teacher": "sam-tiny-tissue", "channels": ("nucleus", "membrane")}},
        "arms": ({"name": "baseline"}, {"name": "student", "teacher": "full"}),
        "seeds": (0,),
        "split": (0.5, 0.25, 0.25),
        "protocol": {"steps": 1, "batch_size": 2, "crop": 32, "validations": 1},
        "device": "cpu",
        "private": True,
    }
    settings = validated(Study, plan)
    conclude_study(settings, study(settings))
    assert naming(tmp_path / "study", NAME) == []


def test_pseudonyms_are_the_files_own_hashes_and_stay_the_same(tmp_path):
    for name, content in (("b.png", b"one"), ("a.png", b"two"), ("c.png", b"one")):
        (tmp_path / name).write_bytes(content)
    (tmp_path / "d.zarr/0").mkdir(parents=True)
    (tmp_path / "d.zarr/0/chunk").write_bytes(b"three")
    cases = [
        Case(stem, tmp_path / f"{stem}.{kind}", {}, None, None, group, None)
        for stem, kind, group in (("b", "png", "Ann"), ("a", "png", "Ann"), ("c", "png", "c"), ("d", "zarr", "Bob"))
    ]
    found = pseudonymous(cases)
    one, two = (sha256_file(tmp_path / name)[:10] for name in ("b.png", "a.png"))
    assert [case.name for case in found[:3]] == [f"image-{one}", f"image-{two}", f"image-{one}-2"]
    assert [case.group for case in found] == [f"group-{min(one, two)}"] * 2 + [f"image-{one}-2", found[3].group]
    assert found[3].group.startswith("group-")
    (tmp_path / "z").mkdir()
    moved = [
        Case(f"x{number}", case.image, {}, None, None, f"g{number // 2}", None) for number, case in enumerate(cases)
    ]
    assert [case.name for case in pseudonymous(moved)] == [case.name for case in found]


def test_maps_that_are_found_by_name_are_refused(clinic, tmp_path):
    with pytest.raises(ValueError, match="private hides the names by which maps:there"):
        settings_of(clinic, tmp_path, teacher="maps:there", prompting=None)
    assert settings_of(clinic, tmp_path, teacher="maps:there", targets=tmp_path).private
