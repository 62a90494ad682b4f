"""Fields in which nothing is to be found: one in ten, and all of them."""

import csv
import json
import math
import shutil

import pytest
import tifffile
from study_usual import job

from segdistill.data.simulate import TissueSettings, write_tissue
from segdistill.evaluation.metrics import METRICS
from segdistill.networks import load_model
from segdistill.study import distill
from segdistill.study.preparation import prepare

COUNT, SHAPE = 20, (48, 64)
NOTHING = "None of the 20 images that are labelled for cell shows any"


def empty(folder, names):
    for name in names:
        path = folder / "labels" / "cell" / f"{name}.tif"
        tifffile.imwrite(path, 0 * tifffile.imread(path))


@pytest.fixture(scope="module")
def fields(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fields")
    write_tissue(folder, count=COUNT, seed=5, settings=TissueSettings(height=SHAPE[0], width=SHAPE[1]))
    return folder


@pytest.fixture(scope="module", params=["a tenth", "all"])
def done(fields, tmp_path_factory, request):
    """A job on fields of which a tenth, in training and in test, or all are empty; which test fields; its notices."""
    room = tmp_path_factory.mktemp("done")
    data = shutil.copytree(fields, room / "data")
    settings = job(data, room / "run", labels=None, split=(0.6, 0.2, 0.2))
    split = prepare(settings, notice=lambda _: None).split
    few = [split["train"][0], split["test"][0]]
    empty(data, [name for names in split.values() for name in names] if request.param == "all" else few)
    told = []
    finished = distill(settings, notice=told.append)
    return finished, set(split["test"] if request.param == "all" else few[1:]), told


def scores(finished):
    with (finished.folder / "scores.csv").open(newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def test_every_score_of_an_empty_field_follows_the_rule(done):
    finished, expected, _ = done
    rows = [row for row in scores(finished) if row["metric"] != "ece"]
    assert {row["field"] for row in rows if row["empty"] in {"both", "label"}} == expected
    diagonal = math.hypot(*SHAPE) * 0.5  # micrometres
    for row in rows:
        metric, value = METRICS[row["metric"]], float(row["value"])
        assert math.isfinite(value)
        if row["empty"] == "both":
            assert value == float(metric.higher_is_better), row
        elif row["empty"]:
            assert value == pytest.approx(metric.worst(diagonal)), row


def test_its_thresholds_are_some_that_a_model_can_have(done):
    card = load_model(done[0].model).card
    assert set(card.thresholds) == {"cell"}


def test_that_there_is_nothing_at_all_is_told_and_only_then(done):
    finished, expected, told = done
    notes = json.loads((finished.folder / "run.json").read_text(encoding="utf-8"))["notes"]
    page = (finished.folder / "report.html").read_text(encoding="utf-8")
    nowhere = len(expected) > 1
    for where in (told, notes, [page]):
        assert any(NOTHING in line for line in where) == nowhere
