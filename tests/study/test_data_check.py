"""The data check of a run: what it finds, how much it reads, and that it is kept."""

import json
import shutil

import numpy as np
import pytest
import tifffile
from study_usual import job

from segdistill.data.simulate import TissueSettings, write_tissue
from segdistill.study import data_check
from segdistill.study.data_check import check_data, data_check_in
from segdistill.study.main_job import distill
from segdistill.study.preparation import prepare
from segdistill.study.same_data import field_hashes


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    """Eight fields: one is another one's copy in a given other part, one is labelled as empty, one upside down."""
    made, folder = tmp_path_factory.mktemp("made"), tmp_path_factory.mktemp("faulty")
    write_tissue(made, count=8, seed=5, settings=TissueSettings(height=96, width=128))
    parts = ["train"] * 4 + ["validation"] * 2 + ["test"] * 2
    rows = ["image,label:cell,split"]
    for number, (image, part) in enumerate(zip(sorted((made / "images").iterdir()), parts, strict=True)):
        shutil.copy(image, folder / f"f{number}.ome.tif")
        label = tifffile.imread(made / "labels/cell" / image.name.replace(".ome", ""))
        label = {1: np.zeros_like(label), 2: label[::-1, ::-1]}.get(number, label)
        tifffile.imwrite(folder / f"f{number}_cell.tif", label)
        rows.append(f"f{number}.ome.tif,f{number}_cell.tif,{part}")
    shutil.copy(folder / "f0.ome.tif", folder / "f7.ome.tif")
    shutil.copy(folder / "f0_cell.tif", folder / "f7_cell.tif")
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")
    return folder / "manifest.csv"


@pytest.fixture(scope="module")
def prepared(faulty):
    return prepare(job(faulty, faulty.parent / "nowhere"), notice=lambda _: None)


def test_it_counts_parts_and_names_leaks_and_suspicious_pairs(prepared):
    found = check_data(prepared, private=False)
    assert [(part.name, part.images, part.labelled, part.empty) for part in found.parts] == [
        ("train", 4, 4, 1), ("validation", 2, 2, 0), ("test", 2, 2, 0),
    ]  # fmt: skip
    assert found.looked_at == found.images == 8
    (double,) = found.doubles
    assert double.across
    assert set(double.images) == {("f0", "train"), ("f7", "test")}
    suspect = found.suspects[0]
    assert (suspect.name, suspect.part) == ("f2", "train")
    assert "fit the image better" in suspect.reasons[0]
    (balance,) = found.balance
    assert (balance.images, balance.of_images) == (7, 8)
    assert dict(found.facts)["size (y × x)"] == "96 × 128"


def test_of_many_images_a_spread_sample_is_read(prepared, monkeypatch):
    monkeypatch.setattr(data_check, "MOST", 3)
    found = check_data(prepared, private=False)
    assert (found.looked_at, found.images) == (3, 8)


def test_it_is_kept_and_made_anew_only_for_other_data(prepared, tmp_path, monkeypatch):
    hashes = field_hashes(prepared)
    first = data_check_in(tmp_path, prepared, hashes, private=False)
    made = []
    monkeypatch.setattr(data_check, "check_data", lambda *_, **__: made.append(1) or first)
    assert data_check_in(tmp_path, prepared, hashes, private=False) == first
    assert made == []
    data_check_in(tmp_path, prepared, {"other": "data"}, private=False)
    assert made == [1]


def test_a_run_keeps_it_and_its_report_shows_it(faulty, tmp_path):
    finished = distill(job(faulty, tmp_path / "run", teacher="blurred:2", teacher_channels=()))
    kept = json.loads((tmp_path / "run/data_check.json").read_text(encoding="utf-8"))
    assert kept["check"]["suspects"][0]["name"] == "f2"
    page = finished.report.read_text(encoding="utf-8")
    assert "In several parts, so scores flatter:" in page
    assert "<strong>f2</strong> (train): cell: the labels fit the image better" in page
