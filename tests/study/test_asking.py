"""The size and precision that a run asks its teachers for, however they come to be."""

from study_usual import job

from segdistill.settings import Adaptation, Adapting, Synthesize, validated
from segdistill.study import probing
from segdistill.study.main_job import make_bench
from segdistill.study.preparation import prepare
from segdistill.study.synthesis_judging import judging_teacher
from segdistill.teachers.sam_probe import Fit

BRIEF = Adapting(steps=1, batch_size=1, validations=1)


def silent(_):
    pass


def contracts(settings):
    bench = make_bench(settings, prepare(settings, notice=silent), silent)
    return {role: teaching.contract for role, teaching in bench.teachings.items()}


def test_teacher_and_control_answer_at_the_size_and_precision_asked_for(tissue, tmp_path):
    asked = {"teacher_size": 80, "teacher_precision": "bfloat16", "control": "sam-tiny-tissue-control"}
    found = contracts(job(tissue, tmp_path / "run", **asked))
    assert {role: (each.size, each.precision) for role, each in found.items()} == {
        "teacher": (80, "bfloat16"),
        "control": (80, "bfloat16"),
    }


def test_a_probe_is_fitted_and_asked_at_one_size(tissue, tmp_path, monkeypatch):
    monkeypatch.setattr(probing, "Fit", lambda seed: Fit(steps=1, seed=seed))
    asked = {"prompting": "probe", "teacher_size": 80, "teacher_precision": "bfloat16"}
    found = contracts(job(tissue, tmp_path / "run", **asked))["teacher"]
    assert (found.prompting, found.size, found.precision) == ("probe", 80, "bfloat16")


def test_a_sam_that_is_fitted_here_answers_at_its_size_in_the_precision_asked_for(tissue, tmp_path):
    adapt = Adaptation(how="probe", size=32, protocol=BRIEF)
    found = contracts(job(tissue, tmp_path / "run", adapt=adapt, teacher_precision="bfloat16"))["teacher"]
    assert (found.size, found.precision) == (32, "bfloat16")


def test_a_teacher_that_judges_is_asked_as_the_settings_say():
    usual = {"data": "d", "out": "o", "teacher": "sam-tiny-tissue", "teacher_channels": ("nucleus", "membrane")}
    asked = {"teacher_size": 80, "teacher_precision": "bfloat16"}
    teacher = judging_teacher(validated(Synthesize, usual | asked), (), device="cpu")
    assert (teacher.contract.size, teacher.contract.precision) == (80, "bfloat16")
