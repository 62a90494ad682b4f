"""Probes that are fitted in a run: out of fold, counted, kept, and refused where they cannot be."""

import json
from functools import partial

import numpy as np
import pytest
from study_usual import job

from segdistill.data.simulate import TissueSettings, write_tissue
from segdistill.errors import ConfigError
from segdistill.settings import Targets, TeacherSpec
from segdistill.study import probing
from segdistill.study.main_job import distill, make_bench
from segdistill.study.preparation import prepare
from segdistill.study.probing import fit_probes
from segdistill.study.targets_job import make_targets
from segdistill.targets import open_store
from segdistill.teachers.sam_probe import Fit


@pytest.fixture(scope="module")
def tissue(tmp_path_factory):
    """Larger fields than others need, and more: a probe is to learn something from them."""
    folder = tmp_path_factory.mktemp("tissue")
    write_tissue(folder, count=10, seed=5, settings=TissueSettings(height=64, width=96))
    return folder


@pytest.fixture
def brief(monkeypatch):
    monkeypatch.setattr(probing, "Fit", partial(Fit, steps=3))


def settings_of(tissue, out, **changes):
    return job(tissue, out, **({"prompting": "probe", "split": (0.6, 0.2, 0.2)} | changes))


def test_a_run_fits_probes_out_of_fold_counts_their_labels_and_keeps_them(tissue, tmp_path, brief):
    told = []
    finished = distill(settings_of(tissue, tmp_path / "run"), notice=told.append)
    assert "Fitting 6 probes of sam-tiny-tissue on 6 labelled images …" in told
    record = json.loads((tmp_path / "run/run.json").read_text(encoding="utf-8"))
    (folder,) = (tmp_path / "run/targets").iterdir()
    store = open_store(folder)
    described = {note["case"]: note["teacher"] for note in map(store.parameters, tuple(store.keys()))}
    assert all((described[name] > 0) == (name in record["split"]["train"]) for name in described)
    assert len(described) == 10
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run/teachers").rglob("*.safetensors")}
    assert len(before) == 6
    told.clear()
    again = distill(settings_of(tissue, tmp_path / "run"), notice=told.append)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "run/teachers").rglob("*.safetensors")} == before
    assert not any(line.startswith("Fitting") for line in told)
    assert again.verdict == finished.verdict


def test_an_image_that_it_was_fitted_on_is_counted_once(tissue, tmp_path, brief):
    run = settings_of(tissue, tmp_path / "run")
    student = distill(run).account["student"].labels
    bench = make_bench(run, prepare(run, notice=lambda _: None), lambda _: None)
    teaching = bench.teachings["teacher"]
    assert teaching.fitted_on == set(bench.prepared.split["train"])
    assert teaching.contract.prompting == "probe"
    # Two of the six that the head was fitted on are the student's own; the two for validation are not among them.
    assert (student.training, student.validation, student.shared) == (2, 2, 2)
    assert student.teacher == teaching.contract.labels_seen
    assert student.total == 2 + teaching.contract.labels_seen


def test_a_fitted_probe_beats_one_that_was_not(tissue, tmp_path, monkeypatch):
    run = settings_of(tissue, tmp_path)
    prepared = prepare(run, notice=lambda _: None)
    spec = TeacherSpec(teacher="sam-tiny-tissue", channels=("nucleus", "membrane"), prompting="probe")
    errors = {}
    for steps in (1, 150):
        monkeypatch.setattr(probing, "Fit", partial(Fit, steps=steps))
        folds, _ = fit_probes(spec, prepared, folder=tmp_path / str(steps), device="cpu", notice=lambda _: None)
        sample = prepared.labelled("test")[0]
        field = probing.field_of(folds[0].teacher, sample, prepared.dataset.structures)
        maps = folds[0].teacher.maps(field.pixels)
        errors[steps] = float(np.abs(maps[0] - (sample.planes[0] > 0)).mean())
    assert errors[150] < 0.7 * errors[1]


def test_a_large_image_is_learnt_from_in_the_tiles_in_which_it_is_asked_about(tissue, tmp_path):
    run = settings_of(tissue, tmp_path)
    prepared = prepare(run, notice=lambda _: None)
    base = probing.load_sam("sam-tiny-tissue", channels=("nucleus", "membrane"), weights=None, device="cpu")
    sample = prepared.labelled("train")[0]
    small = type(base)(base.model, probing.replace(base.contract, tile=48), base.ask)
    lessons = list(probing._lessons(small, sample, prepared.dataset.structures))
    assert {lesson.image.shape[1:] for lesson in lessons} == {(48, 48)}
    assert sum(int(lesson.counts.sum()) for lesson in lessons) == sample.counts.sum()
    assert sum(lesson.target[0][lesson.counts].sum() for lesson in lessons) == (sample.planes[0] > 0).sum()


def test_what_has_no_features_or_too_few_labels_is_refused(tissue, tmp_path):
    with pytest.raises(ConfigError, match=r"'model:there' takes no prompting probe"):
        distill(settings_of(tissue, tmp_path / "a", teacher="model:there"))
    with pytest.raises(ConfigError, match="at least two groups"):
        distill(settings_of(tissue, tmp_path / "b", split=(0.1, 0.1, 0.8), labels=1))
    asked = {"teacher": "sam-tiny-tissue", "teacher_channels": ("nucleus", "membrane"), "prompting": "probe"}
    targets = Targets(data=tissue, out=tmp_path / "c", label_sets=("cell",), label_kind="instances", **asked)
    with pytest.raises(ConfigError, match="fitted within a run of `distill`"):
        make_targets(targets)
