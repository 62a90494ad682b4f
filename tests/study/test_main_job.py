"""The main job on small simulated tissue: what it leaves, and that an interruption changes nothing."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
from safetensors.numpy import load_file
from study_usual import job

from segdistill.errors import ConfigError, EnvironmentFault
from segdistill.networks.card import read_card
from segdistill.settings import Protocol
from segdistill.study.main_job import distill
from segdistill.targets import open_store

SHORT = Protocol(steps=4, batch_size=2, crop=32, validations=2)


def settings_of(tissue, out, **changes):
    return job(tissue, out, **({"teacher": "fit:unet-tiny", "protocol": SHORT} | changes))


@pytest.fixture(scope="module")
def finished(tissue, tmp_path_factory):
    return distill(settings_of(tissue, tmp_path_factory.mktemp("run") / "run"))


def test_the_report_says_which_sizes_of_cells_are_found(finished, tissue, monkeypatch):
    monkeypatch.setattr("segdistill.evaluation.by_size.FEWEST", 2)  # there are few cells
    distill(settings_of(tissue, finished.folder))  # what is done is read back
    page = (finished.folder / "report.html").read_text(encoding="utf-8")
    table = page[page.index('id="sizes"') : page.index('id="comparisons"')]
    counts = [int(count) for count in re.findall(r'<td>cell</td><td class="number">(\d+)</td>', table)]
    tested = json.loads((finished.folder / "run.json").read_text(encoding="utf-8"))["split"]["test"]
    labels = [tifffile.imread(tissue / "labels/cell" / f"{name}.tif") for name in tested]
    assert sum(counts) == sum(len(np.unique(label)) - 1 for label in labels)
    assert len(counts) >= 2
    assert "found by student" in table
    assert "found by baseline" in table
    assert "µm²" in table


def test_it_leaves_what_the_documents_say(finished):
    folder = finished.folder
    for name in (
        "settings.json",
        "run.json",
        "scores.csv",
        "report.html",
        "model/model.safetensors",
        "model/README.md",
    ):
        assert (folder / name).stat().st_size > 0, name
    rows = list(csv.DictReader((folder / "scores.csv").read_text().splitlines()))
    assert {row["arm"] for row in rows} == {"baseline", "student", "teacher"}
    assert {row["metric"] for row in rows} >= {"dice", "iou", "ap50", "f1"}
    assert not list(folder.rglob("*.partial"))


def test_every_row_of_scores_names_what_made_it(finished):
    rows = list(csv.DictReader((finished.folder / "scores.csv").read_text().splitlines()))
    made = {(row["arm"], row["seed"]): (row["run"], row["weights"]) for row in rows}
    assert len({run for run, _ in made.values() if run}) == sum(arm != "teacher" for arm, _ in made)
    for (arm, seed), (run, weights) in made.items():
        assert run == ("" if arm == "teacher" else f"arms/{arm}/{seed}")
        if run:
            assert read_card(finished.folder / run / "model").weights_sha256.startswith(weights)
            assert len(weights) == 16


def test_a_training_image_is_described_by_a_teacher_that_never_saw_it(finished):
    record = json.loads((finished.folder / "run.json").read_text())
    train = set(record["split"]["train"])
    (folder,) = (finished.folder / "targets").iterdir()
    store = open_store(folder)
    notes = [store.parameters(key) for key in tuple(store.keys())]
    described = {note["case"]: note["teacher"] for note in notes}
    assert set(described) == {name for part in record["split"].values() for name in part}
    assert all((described[name] > 0) == (name in train) for name in described)


def test_the_record_of_a_run_has_what_that_of_earlier_versions_had(finished):
    old = Path(__file__).parents[1] / "old_files" / "run_1" / "run.json"
    before, now = (json.loads(path.read_text(encoding="utf-8")) for path in (old, finished.folder / "run.json"))
    assert set(before) <= set(now)
    assert set(before["settings"]) <= set(now["settings"])
    assert set(before["arms"][0]) <= set(now["arms"][-1])
    assert set(before["arms"][0]["labels"]) <= set(now["arms"][-1]["labels"])
    assert set(before["split"]) == set(now["split"])


def test_both_arms_differ_in_the_teacher_alone(finished):
    arms = {arm["arm"]["name"]: arm["arm"] for arm in json.loads((finished.folder / "run.json").read_text())["arms"]}
    different = {key for key in arms["baseline"] if arms["baseline"][key] != arms["student"][key]}
    assert different == {"name", "role", "teacher"}


def test_labels_are_counted_once_in_the_card(finished):
    card = json.loads((finished.model / "model.json").read_text())
    # The teacher was fitted on all four training and both validation images: the student's are among them.
    assert card["labels_used"] == 6


def test_the_record_and_the_report_say_what_the_fast_halo_costs(finished):
    halo = json.loads((finished.model / "model.json").read_text())["halo"]
    assert halo["fast"] == halo["exact"] > 0  # a wider one would bring nothing
    assert (halo["agreement"], halo["tile"]) == (None, None)  # fields of 64 px cannot be cut with such a border
    facts = json.loads((finished.folder / "run.json").read_text())["facts"]["Windows of the student"]
    assert facts == {
        "halo in use": f"{halo['exact']} px, the fast one",
        "exact halo": f"{halo['exact']} px",
        "masks with the fast one": "those of uncut images, for it covers the exact one",
    }
    assert "for it covers the exact one" in (finished.folder / "report.html").read_text(encoding="utf-8")


def test_the_record_the_card_and_the_report_say_what_a_student_learnt_from(finished):
    said = "labels; distillation by probability_mse; boundary by gradient_3; weights learnt by uncertainty"
    facts = json.loads((finished.folder / "run.json").read_text())["facts"]["Terms"]
    assert facts["student"] == said
    assert facts["baseline"] == "labels; boundary by gradient_3; weights learnt by uncertainty"
    assert json.loads((finished.model / "model.json").read_text())["provenance"]["terms"] == said
    assert f"It learnt from {said}." in (finished.model / "README.md").read_text(encoding="utf-8")
    assert said in (finished.folder / "report.html").read_text(encoding="utf-8")


def test_run_again_does_nothing_again(tissue, finished):
    before = {path: path.stat().st_mtime_ns for path in finished.folder.rglob("newest.ckpt")}
    again = distill(settings_of(tissue, finished.folder))
    assert {path: path.stat().st_mtime_ns for path in finished.folder.rglob("newest.ckpt")} == before
    assert again.verdict == finished.verdict


def test_what_only_an_unfinished_training_needs_is_gone_when_it_is_done(finished):
    arms = sorted(path.parent for path in finished.folder.rglob("newest.ckpt"))
    assert arms
    for arm in arms:
        weights = (arm / "best.safetensors").stat().st_size
        assert sum(path.stat().st_size for path in arm.glob("*.ckpt")) < 1.5 * weights


def test_a_run_of_before_a_setting_existed_goes_on_and_is_left_as_it_is(tissue, finished):
    path = finished.folder / "settings.json"
    kept = json.loads(path.read_text(encoding="utf-8"))
    later = {"private", "start", "targets_alone", "objective"}
    older = {name: value for name, value in kept.items() if name not in later}
    path.write_text(json.dumps(older), encoding="utf-8")
    assert distill(settings_of(tissue, finished.folder)).verdict == finished.verdict
    with pytest.raises(ConfigError, match="targets_alone: False there, True here"):
        distill(settings_of(tissue, finished.folder, targets_alone=True))
    assert json.loads(path.read_text(encoding="utf-8")) == older


def test_other_settings_are_refused(tissue, finished):
    with pytest.raises(ConfigError, match=r"protocol\.steps: 4 there, 5 here"):
        distill(settings_of(tissue, finished.folder, protocol=Protocol(steps=5, batch_size=2, crop=32, validations=2)))


JOB = """
import json, sys
from pathlib import Path
from segdistill.settings import Distill
from segdistill.study.main_job import distill
distill(Distill(**json.loads(Path(sys.argv[1]).read_text())), notice=lambda line: print(line, flush=True))
"""


def run_job(settings, path):
    """Start the job in a process of its own: bits are equal at equal numbers of threads alone."""
    path.write_text(json.dumps(settings.resolved()))
    return subprocess.Popen(
        [sys.executable, "-c", JOB, str(path)], stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )


def test_killed_while_a_student_trains_it_goes_on_to_the_same_weights(tissue, tmp_path):
    # -9 once the second arm has begun and before it is done; then the same call again.
    changes = {"teacher": "fit:unet-tiny", "protocol": Protocol(steps=30, batch_size=2, crop=32, validations=2)}
    whole = settings_of(tissue, tmp_path / "whole", **changes)
    broken = settings_of(tissue, tmp_path / "broken", **changes)
    run_job(whole, tmp_path / "whole.json").wait()
    log = broken.out / "arms" / "student" / "0" / "log.jsonl"
    with run_job(broken, tmp_path / "broken.json") as process:
        deadline = time.monotonic() + 300
        while not (log.exists() and len(log.read_text().splitlines()) >= 3):
            assert process.poll() is None, "the job ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.01)
        with pytest.raises(EnvironmentFault, match="Another run works"):
            distill(broken)
        process.send_signal(signal.SIGKILL)
    student = broken.out / "arms" / "student" / "0"
    assert not (student / "done.json").exists()
    assert (broken.out / "arms" / "baseline" / "0" / "done.json").exists()
    steps_before = [json.loads(line)["step"] for line in log.read_text().splitlines() if line.endswith("}")]
    assert run_job(broken, tmp_path / "again.json").wait() == 0
    steps = [record["step"] for record in map(json.loads, log.read_text().splitlines()) if "loss" in record]
    assert steps == sorted(set(steps))
    assert max(steps) == 30 > max(steps_before)
    ours, theirs = (load_file(run.out / "model" / "model.safetensors") for run in (broken, whole))
    assert all((ours[name] == theirs[name]).all() for name in theirs)
    assert (broken.out / "scores.csv").read_bytes() == (whole.out / "scores.csv").read_bytes()


def test_other_terms_reach_the_student_and_are_logged_with_their_weights(tissue, tmp_path):
    objective = {
        "distillation": "prototype_matching",
        "temperature": 3.0,
        "boundary": "surface_distance",
        "weighting": "fixed",
        "weights": {"distillation": 2.0},
    }
    settings = settings_of(tissue, tmp_path / "run", objective=objective)
    finished = distill(settings)
    log = (finished.folder / "arms/student/0/log.jsonl").read_text(encoding="utf-8").splitlines()
    steps = [line for line in map(json.loads, log) if "terms" in line]
    for line in steps:
        assert {name.partition(".")[0] for name in line["terms"]} == {"labels", "distillation", "surface_distance"}
        assert line["weights"] == {"w_labels": 1.0, "w_distillation": 2.0, "w_surface_distance": 0.01}
        total = sum(line["weights"][f"w_{name.partition('.')[0]}"] * value for name, value in line["terms"].items())
        assert line["loss"] == pytest.approx(total, rel=1e-4)
    assert steps
    said = json.loads((finished.model / "model.json").read_text())["provenance"]["terms"]
    assert said == (
        "labels; distillation by prototype_matching at temperature 3; boundary by surface_distance;"
        " weights fixed: labels 1, distillation 2, surface_distance 0.01"
    )
    with pytest.raises(ConfigError, match=r"objective\.boundary: surface_distance there, gradient_3 here"):
        distill(settings_of(tissue, tmp_path / "run", objective={**objective, "boundary": "gradient_3"}))


def test_a_term_that_cannot_say_where_to_cut_is_refused_before_the_teacher_is_asked(tissue, tmp_path):
    settings = settings_of(tissue, tmp_path / "run", labels=0, objective={"distillation": "channel_kl"})
    with pytest.raises(ConfigError, match="Arm student: Without labels, channel_kl cannot teach where to cut"):
        distill(settings)
    assert not (tmp_path / "run").exists()
