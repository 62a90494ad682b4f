"""What the page of a whole study is handed."""

import json

import numpy as np
import pytest
from study_usual import job

from segdistill.data.labels import output_names
from segdistill.evaluation import ScoreTable
from segdistill.evaluation.overlap import dice
from segdistill.networks.model import load_model
from segdistill.report import ShiftRow
from segdistill.settings import Arm
from segdistill.study.account import ArmAccount, Labels
from segdistill.study.arms import DONE, RULE, mask_planes
from segdistill.study.main_job import distill
from segdistill.study.overview import budget_lines, elsewhere_cells
from segdistill.study.preparation import budget_seed, labelled_budget, prepare
from segdistill.training.entries import make_entry
from segdistill.training.validation import entry_maps


def arm(name, role, budget, *scores):
    table = ScoreTable((0, 1), ("a", "b"), np.array([scores, scores], dtype=float))
    ran = None if role == "teacher" else Arm(name=name, role=role, teacher="full", labels=budget)
    return ArmAccount(name, role, {"dice": table}, Labels(0, 0, 0), None, None, None, None, budget, ran, None)


def test_an_arm_is_one_line_over_its_budgets_and_a_teacher_is_none():
    account = {
        each.name: each
        for each in (
            arm("few-labels-0", "targets alone", 0, 0.3, 0.5),
            arm("few-labels-2", "student", 2, 0.4, 0.6),
            arm("few-labels-all", "all-labels student", None, 0.6, 0.8),
            arm("baseline-2", "baseline", 2, 0.2, 0.4),
            arm("teacher", "teacher", None, 0.9, 0.9),
        )
    }
    few, baseline = budget_lines(account)
    assert (few.arm, few.role) == ("few-labels", "student")
    assert [point.labels for point in few.points] == ["0", "2", "all"]
    assert [point.mean for point in few.points] == pytest.approx([0.4, 0.5, 0.7])
    assert all(point.ends[0] <= point.mean <= point.ends[1] for point in few.points)
    assert (baseline.arm, baseline.role, len(baseline.points)) == ("baseline", "baseline", 1)


def test_one_budget_is_no_curve():
    account = {each.name: each for each in (arm("a-2", "student", 2, 0.5, 0.5), arm("b-2", "baseline", 2, 0.5, 0.5))}
    assert budget_lines(account) == ()


def test_scores_elsewhere_are_means_over_structures_with_a_deviation_where_there_is_one():
    def row(structure, there, metric="Dice"):
        return ShiftRow(
            data="phone",
            structure=structure,
            metric=metric,
            arm="student-2",
            role="student",
            there=there,
            there_sd=0.1,
            here=None,
            here_sd=None,
            fields=3,
            gain=None,
            gain_ends=None,
        )

    (single,) = elsewhere_cells("unet-tiny", [row("cell", 0.5), row("cell", 0.1, "AP@0.5")])
    assert (single.data, single.student, single.arm) == ("phone", "unet-tiny", "student-2")
    assert (single.score.mean, single.score.sd) == (0.5, 0.1)
    (both,) = elsewhere_cells("unet-tiny", [row("cell", 0.5), row("nucleus", 1.0)])
    assert (both.score.mean, both.score.sd) == (0.75, None)


def test_what_a_student_scores_on_images_it_learnt_from_is_kept(tissue, tmp_path):
    settings = job(tissue, tmp_path / "run", targets_alone=True)
    finished = distill(settings)
    kept = {
        name: json.loads((finished.folder / "arms" / name / "0" / DONE).read_text(encoding="utf-8"))["facts"]
        for name in ("baseline", "targets-alone")
    }
    assert kept["targets-alone"]["training"] is None
    prepared = prepare(settings, notice=lambda _: None)
    model = load_model(finished.folder / "arms" / "baseline" / "0" / "model")
    structures = prepared.dataset.structures
    learnt_from = labelled_budget(prepared.labelled("train"), 2, seed=budget_seed(settings.split_seed, 0))
    scores = []
    for sample in prepared.labelled("train"):
        if sample.name in learnt_from:
            entry = make_entry(sample, channels=("nucleus",), rule=RULE)
            maps = entry_maps(model.module, entry, outputs=len(output_names(structures)), device="cpu")
            found = mask_planes(maps, structures, model.card.thresholds)
            scores.append(dice(found[0] > 0, sample.planes[0] > 0))
    assert len(scores) == 2
    assert kept["baseline"]["training"] == pytest.approx(np.mean(scores))
    page = finished.report.read_text(encoding="utf-8")
    assert "Dice in training, %" in page
    assert f"{100 * np.mean(scores):.1f}" in page
