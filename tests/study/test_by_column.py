"""Scores by a column of the manifest."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segdistill.data.simulate import TissueSettings, write_tissue
from segdistill.errors import ConfigError, UnknownName
from segdistill.settings import Arm, Distill, Images, Protocol, Scored
from segdistill.study.account import Labels, make_account
from segdistill.study.by_column import NOT_STATED, group_scores, grouped, values_of_units
from segdistill.study.main_job import distill
from segdistill.study.preparation import prepare

SCANNERS = ["A", "B", "B", "", "A", "A", "C", "C"]
GROUPS = ["", "", "", "", "p", "q", "q", "p"]
# Fields 4 and 7 are patient p, fields 5 and 6 patient q.
SPLITS = ["test", "test", "test", "test", "train", "test", "test", "train"]


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tissue")
    write_tissue(folder, count=10, seed=5, settings=TissueSettings(height=40, width=48))
    images = sorted((folder / "images").iterdir())
    scanners, groups, splits = [*SCANNERS, "A", "A"], [*GROUPS, "", ""], [*SPLITS, "train", "validation"]
    rows = [
        [f"images/{image.name}", f"labels/cell/{image.name.replace('.ome.tif', '.tif')}", group, split, scanner, "only"]
        for image, group, split, scanner in zip(images, groups, splits, scanners, strict=True)
    ]
    with (folder / "fields.csv").open("w", newline="", encoding="utf-8") as handle:
        csv.writer(handle).writerows([["image", "label", "group", "split", "#scanner", "#site"], *rows])
    return folder / "fields.csv"


def source(manifest, **changes):
    return Scored(data=manifest, structure="cell", label_kind="instances", **changes)


def test_by_hand(manifest):
    prepared = prepare(source(manifest, by="scanner"), notice=lambda _: None)
    units = sorted({prepared.groups[sample.name] for sample in prepared.labelled("test")})
    # Four fields by themselves and patient q, whose two fields were seen by two scanners.
    names = [case.name for case in prepared.dataset.cases]
    assert values_of_units(prepared, "scanner") == {
        names[0]: "A", names[1]: "B", names[2]: "B", names[3]: NOT_STATED, "q": "A and C",
    }  # fmt: skip
    score = {names[0]: 0.5, names[1]: 0.6, names[2]: 0.8, names[3]: 0.1, "q": 0.9}
    records = [
        {"arm": "student", "seed": seed, "field": unit, "structure": "cell", "metric": metric, "empty": "",
         "value": score[unit] + 0.1 * seed}
        for seed in (0, 1) for unit in units for metric in ("dice", "iou", "ap50")
    ]  # fmt: skip
    account = make_account(records, [Arm(name="student", role="baseline")], {"student": Labels(1, 1, 0)})
    found = group_scores(account, prepared)
    assert found is not None
    assert found.column == "scanner"
    assert [(row.metric, row.value, row.fields) for row in found.rows] == [
        (metric, *row) for metric in ("Dice", "AP@0.5") for row in (("A", 1), ("A and C", 1), ("B", 2), (NOT_STATED, 1))
    ]
    b = found.rows[2].scores["student"]
    # (0.6 + 0.8) / 2 = 0.7 with seed 0, 0.8 with seed 1: mean 0.75, sd 0.1 / √2.
    assert b.mean == pytest.approx(0.75)
    assert b.sd == pytest.approx(0.1 / np.sqrt(2))
    assert group_scores(account, replace(prepared, by=None)) is None


@given(values=st.dictionaries(st.text(max_size=3), st.sampled_from(["b", "a", NOT_STATED, "zz"])))
def test_every_unit_is_in_one_group_and_what_is_not_stated_comes_last(values):
    groups = grouped(values)
    assert sorted(unit for units in groups.values() for unit in units) == sorted(values)
    assert all(units for units in groups.values())
    assert NOT_STATED not in list(groups)[:-1]


def test_a_column_that_is_not_there_is_refused_by_name(manifest):
    with pytest.raises(UnknownName, match=r"called 'scaner'\. Did you mean 'scanner'\? Known: scanner, site\."):
        prepare(source(manifest, by="scaner"), notice=lambda _: None)
    with pytest.raises(ConfigError, match=r"by is 'scanner', but .* is a folder.*a column '#scanner'"):
        prepare(source(manifest.parent, by="scanner"), notice=lambda _: None)


def test_a_name_with_its_sign_is_the_same_column(manifest):
    assert prepare(source(manifest, by="#scanner"), notice=lambda _: None).by == "scanner"


def test_targets_know_no_such_setting():
    assert "by" not in Images.model_fields


def test_a_run_tells_scores_by_it_and_may_be_asked_another_way_later(manifest, tmp_path):
    usual = {
        "data": manifest,
        "out": tmp_path / "run",
        "label_kind": "instances",
        "structure": "cell",
        "teacher": "sam-tiny-tissue",
        "prompting": None,
        "teacher_channels": ("nucleus", "membrane"),
        "student": "unet-tiny",
        "student_channels": ("nucleus",),
        "seeds": (0, 1),
        "protocol": Protocol(steps=1, batch_size=2, crop=32, validations=1),
        "device": "cpu",
    }
    first = distill(Distill(**usual, by="scanner"))
    page = first.report.read_text(encoding="utf-8")
    assert "<h2>Score by scanner" in page
    assert "A and C" in page
    again = distill(Distill(**usual, by="site")).report.read_text(encoding="utf-8")
    assert "Every one of the 5 test fields has the same site, only: there is nothing to tell apart." in again
    plain = distill(Distill(**usual))
    assert 'id="groups"' not in plain.report.read_text(encoding="utf-8")
    assert first.verdict == plain.verdict
    identity = json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8"))["run_id"]
    assert f'content="{identity}"' in page  # how scores are told does not make another run
