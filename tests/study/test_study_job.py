"""A study on small simulated tissue: what it runs, leaves alone, refuses and goes on with."""

import csv
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from study_usual import ARMS, TEACHERS, job, plan

from segdistill.engine import read_log
from segdistill.errors import ConfigError
from segdistill.inference.api import predict
from segdistill.networks.describe import count_parameters
from segdistill.networks.last_layer import last_convolution
from segdistill.networks.model import load_model
from segdistill.settings import Protocol, open_run
from segdistill.study.arms import DONE, arm_entries
from segdistill.study.cells import cells_of
from segdistill.study.comparisons import comparisons_of
from segdistill.study.main_job import distill
from segdistill.study.study_account import conclude_study, study_headline
from segdistill.study.study_job import folder_of, study


def times(settings):
    """When each run was done."""
    cells = cells_of(settings)
    return {cell: (folder_of(settings, cell) / DONE).stat().st_mtime_ns for cell in cells}


def test_arms_by_budgets_by_seeds_and_what_each_stands_for(tissue, tmp_path):
    arms = (
        *ARMS,
        {"name": "control", "teacher": "nucleus"},
        {"name": "shuffled", "teacher": "shuffled"},
        {"name": "alone", "teacher": "full", "labels": (0,)},
    )
    cells = cells_of(plan(tissue, tmp_path, arms=arms, seeds=(0, 1)))
    assert [(cell.arm.name, cell.arm.role) for cell in cells if cell.seed == 0] == [
        ("baseline-2", "baseline"),
        ("student-2", "student"),
        ("control-2", "control"),
        ("shuffled-2", "control"),
        ("baseline-all", "all-labels"),
        ("student-all", "all-labels student"),
        ("control-all", "control"),
        ("shuffled-all", "control"),
        ("alone-0", "targets alone"),
    ]
    assert [cell.seed for cell in cells] == [0] * 9 + [1] * 9


def test_a_teacher_that_is_asked_by_boxes_makes_no_control(tissue, tmp_path):
    spec = {"teacher": "sam-tiny-tissue-control", "channels": ("nucleus",)}
    teachers = {"boxes": spec | {"prompting": "boxes"}, "grid": spec | {"prompting": "grid"}}
    arms = ({"name": "baseline"}, *({"name": name, "teacher": name} for name in teachers))
    roles = {cell.arm.name: cell.arm.role for cell in cells_of(plan(tissue, tmp_path, arms=arms, teachers=teachers))}
    assert (roles["boxes-2"], roles["grid-2"]) == ("student", "control")


def test_only_what_is_missing_is_run_and_a_study_can_be_extended(tissue, tmp_path):
    first = plan(tissue, tmp_path / "s")
    state = study(first)
    assert not state.missing
    assert len(state.runs) == 4
    before = times(first)
    more = plan(tissue, tmp_path / "s", arms=(*ARMS, {"name": "shuffled", "teacher": "shuffled"}), seeds=(0, 1))
    assert len(study(more).runs) == 12
    after = times(more)
    assert {cell: after[cell] for cell in before} == before


def without(path, *names):
    """Take settings out of a settings.json, as if it had been written before there were these settings."""
    kept = json.loads(path.read_text(encoding="utf-8"))
    for name in names:
        *parents, last = name.split(".")
        part = kept
        for parent in parents:
            part = part[parent]
        del part[last]
    path.write_text(json.dumps(kept), encoding="utf-8")


def test_a_study_of_before_some_settings_existed_goes_on(tissue, tmp_path):
    settings = plan(tissue, tmp_path / "s", labels=(2,))
    study(settings)
    before = times(settings)
    without(settings.out / "settings.json", "private", "start", "fill_missing", "objective")
    without(settings.out / "teachers" / "full" / "settings.json", "teacher.shuffled")
    for cell in cells_of(settings):
        gone = "arm.dropped_channels", "arm.temperature", "arm.weights", "protocol.turns", "start"
        without(folder_of(settings, cell) / "settings.json", *gone)
    assert not study(settings).missing
    assert times(settings) == before  # read back, nothing was run
    other = {"steps": 2, "batch_size": 2, "crop": 32, "validations": 1, "turns": False}
    with pytest.raises(ConfigError, match=r"protocol\.turns: True there, False here"):
        study(plan(tissue, tmp_path / "s", labels=(2,), protocol=other))


def test_arms_may_override_the_terms_of_the_study_and_their_runs_are_told_apart(tissue, tmp_path):
    plain = {"name": "plain", "teacher": "full", "boundary": False, "weighting": "uncertainty"}
    objective = {"distillation": "binary_kl", "temperature": 3, "weighting": "fixed", "weights": {"labels": 2}}
    cells = cells_of(plan(tissue, tmp_path / "s", arms=(*ARMS, plain), labels=(2,), objective=objective))
    baseline, student, own = (cell.arm for cell in cells)
    assert (student.distillation, student.temperature, student.weights.given) == ("binary_kl", 3, {"labels": 2})
    assert (baseline.distillation, baseline.temperature, baseline.weights.given) == (
        "probability_mse",
        None,
        {"labels": 2},
    )
    assert (own.distillation, own.boundary, own.weighting, own.weights.given) == (
        "binary_kl",
        "none",
        "uncertainty",
        {},
    )
    study(plan(tissue, tmp_path / "s", labels=(2,)))
    with pytest.raises(ConfigError, match=r"arm\.weights\.labels: None there, 2\.0 here"):
        study(plan(tissue, tmp_path / "s", labels=(2,), objective=objective))


def test_shards_do_their_part_and_together_everything(tissue, tmp_path):
    first = study(plan(tissue, tmp_path / "s", shard="1/2"))
    assert [cell.arm.name for cell in first.missing] == ["student-2", "student-all"]
    second = study(plan(tissue, tmp_path / "s", shard="2/2"))
    assert not second.missing
    whole = study(plan(tissue, tmp_path / "whole"))
    for cell, run in whole.runs.items():
        assert second.runs[cell].records == run.records


def test_the_account_of_a_study(tissue, tmp_path):
    why = {"name": "longer", "protocol": {"steps": 3}, "why": "To see what more steps bring."}
    arms = (*ARMS, {"name": "control", "teacher": "nucleus"}, why)
    settings = plan(tissue, tmp_path / "s", arms=arms, students=("unet-tiny", "unet-mobilenetv3"), seeds=(0, 1))
    account = conclude_study(settings, study(settings))
    rows = list(csv.DictReader(account.summary.read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 2 * (4 * 2 + 1)
    assert {(row["arm"], row["role"], row["label budget"]) for row in rows} >= {
        ("baseline-2", "baseline", "2"),
        ("student-2", "student", "2"),
        ("control-2", "control", "2"),
        ("baseline-all", "all-labels", "all"),
        ("teacher", "teacher", ""),
    }
    by_arm = {row["arm"]: row for row in rows if row["student"] == "unet-tiny"}
    gain = float(by_arm["student-2"]["dice"]) - float(by_arm["baseline-2"]["dice"])
    assert float(by_arm["student-2"]["gain"]) == pytest.approx(gain, abs=1e-9)
    assert by_arm["baseline-2"]["gain"] == by_arm["baseline-2"]["p after Holm"] == ""
    family = sum(len(comparisons_of(each.account)) for each in account.students.values())
    assert {row["tests in the family"] for row in rows if row["p after Holm"]} == {str(family)}
    assert all(float(row["p of the gain"]) <= float(row["p after Holm"]) for row in rows if row["p after Holm"])
    for student, finished in account.students.items():
        page = finished.report.read_text(encoding="utf-8")
        assert student in page
        assert "Gain against parameters" in page
        assert "Parameters in training and in use" in page
        assert f"{family} tests by Dice, " in page
        assert "those in the reports of the study's other students" in page
        assert "Arm longer differs from the others in steps (3). To see what more steps bring." in page
        scores = csv.DictReader((finished.folder / "scores.csv").read_text(encoding="utf-8").splitlines())
        assert {row["unit"] for row in scores if row["metric"] == "hd95"} == {"µm"}
        assert (finished.folder / "scores.conventions.md").exists()
        assert {row["run"] for row in rows if row["student"] == student} == {finished.run_id}
        assert finished.run_id in page
    assert account.summary.with_name("summary.conventions.md").read_text(encoding="utf-8").startswith("# How masks")
    for row in rows:
        assert bool(row["folder"]) == (row["role"] != "teacher")
        assert not row["folder"] or (settings.out / row["folder"] / "0" / DONE).exists()
    for finished in account.students.values():
        assert (finished.model / "model.json").exists()
    assert str(account.summary) in study_headline(account)
    assert str(account.page) in study_headline(account)
    page = account.page.read_text(encoding="utf-8")
    for student, finished in account.students.items():
        assert f'href="{student}/report.html"' in page
        assert (settings.out / student / "report.html") == finished.report
        assert finished.verdict.sentences[0].replace(" %", "\u00a0%") in page.replace("&#39;", "'")
    assert "How many labels it takes" in page
    assert "Gain against parameters" in page
    assert "Arm longer differs from the others in steps (3). To see what more steps bring." in page


def test_numbers_of_others_change_no_run_and_no_identity(tissue, tmp_path):
    settings = plan(tissue, tmp_path / "s", labels=(2,))
    first = conclude_study(settings, study(settings)).students["unet-tiny"]
    before = times(settings)
    number = {
        "what": "Swin-Tiny",
        "data": "TissueNet",
        "score": "Dice, %",
        "printed": "78.36 ± 1.44",
        "source": "there",
    }
    beside = plan(tissue, tmp_path / "s", labels=(2,), references=(number,))
    second = conclude_study(beside, study(beside)).students["unet-tiny"]
    assert "78.36 ± 1.44" in second.report.read_text(encoding="utf-8")
    assert second.run_id == first.run_id
    assert times(beside) == before


def test_a_number_of_others_needs_its_source(tissue, tmp_path):
    number = {"what": "Swin-Tiny", "data": "TissueNet", "score": "Dice, %", "printed": "78.36 ± 1.44"}
    with pytest.raises(ConfigError, match="source"):
        plan(tissue, tmp_path, references=(number,))


def test_what_another_process_is_at_is_left_alone(tissue, tmp_path):
    settings = plan(tissue, tmp_path / "s", labels=(2,))
    study(plan(tissue, tmp_path / "s", labels=(2,), shard="2/2"))
    cell = cells_of(settings)[0]
    told = []
    with open_run(folder_of(settings, cell), cell.settings(settings)):
        state = study(settings, notice=told.append)
    assert state.missing == (cell,)
    assert "unet-tiny baseline-2, seed 0: another process is at it." in told


def test_a_damaged_run_is_named_and_done_again(tissue, tmp_path):
    settings = plan(tissue, tmp_path / "s", labels=(2,))
    records = {cell: run.records for cell, run in study(settings).runs.items()}
    cell, other = cells_of(settings)
    folder = folder_of(settings, cell)
    (folder / DONE).write_text('{"records": [')
    for path in folder.glob("*.ckpt"):
        path.write_bytes(b"no checkpoint")
    told, before = [], times(settings)[other]
    state = study(settings, notice=told.append)
    assert {cell: run.records for cell, run in state.runs.items()} == records
    assert any("done.json is damaged" in line for line in told)
    assert any("no checkpoint here is whole" in line and "begun anew" in line for line in told)
    assert (folder.parent / "0.damaged-1").is_dir()
    assert times(settings)[other] == before


def test_another_study_in_the_folder_is_refused(tissue, tmp_path):
    out = tmp_path / "s"
    study(plan(tissue, out, labels=(2,)))
    with pytest.raises(ConfigError, match=r"student_channels.*nucleus.*membrane"):
        study(plan(tissue, out, labels=(2,), student_channels=("membrane",)))
    with pytest.raises(ConfigError, match="has the arms student, which this one lacks"):
        study(plan(tissue, out, arms=({"name": "baseline"},), labels=(2,)))
    with pytest.raises(ConfigError, match=r"protocol\.steps: 2 there, 3 here"):
        study(plan(tissue, out, labels=(2,), protocol={"steps": 3, "batch_size": 2, "crop": 32, "validations": 1}))
    with pytest.raises(ConfigError, match="command: study there, not set here"):
        distill(job(tissue, out))


def test_a_teacher_that_changed_under_its_name_is_refused(tissue, tmp_path):
    def fitted(seeds, **changes):
        teacher = {"teacher": "fit:unet-tiny", "channels": ("nucleus", "membrane"), **changes}
        return plan(tissue, tmp_path / "s", teachers={"full": teacher}, labels=(2,), seeds=seeds)

    assert not study(fitted((0,))).missing
    with pytest.raises(ConfigError, match=r"teacher\.channels: .*membrane.* there, .*nucleus.* here"):
        study(fitted((1,), channels=("nucleus",)))  # no run of seed 1 is there to tell


def test_unequal_protocols_are_refused_unless_declared(tissue, tmp_path):
    longer = {"name": "longer", "protocol": {"steps": 3}}
    with pytest.raises(ConfigError, match=r"arm 'longer' differs from the protocol of the others in steps"):
        plan(tissue, tmp_path, arms=(*ARMS, longer))
    settings = plan(tissue, tmp_path, arms=(*ARMS, {**longer, "why": "to see what more steps bring"}), labels=(2,))
    assert [cell.protocol.steps for cell in cells_of(settings)] == [2, 2, 3]
    assert settings.protocol == Protocol(steps=2, batch_size=2, crop=32, validations=1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arms": ()}, "arms must name at least one"),
        ({"seeds": (1, 1)}, "seeds has something twice"),
        ({"arms": ({"name": "student", "teacher": "full"},)}, "no arm is without a teacher"),
        ({"arms": (*ARMS, {"name": "x", "teacher": "fool"})}, "names the teacher 'fool', but the teachers are: full"),
        ({"arms": (*ARMS, {"name": "x", "protocol": {"stepz": 1}, "why": "."})}, "stepz"),
        ({"arms": (*ARMS, {"name": "../x"})}, "should match pattern"),
        ({"arms": (*ARMS, {"name": "Baseline"})}, "arms has something twice"),
        ({"arms": ({"name": "baseline", "labels": (0,)},)}, "neither labels nor a teacher"),
        ({"teachers": {"full": {**TEACHERS["full"], "shuffled": ("actin",)}}}, "shuffled names actin"),
    ],
)
def test_plans_that_make_no_sense_are_refused(tissue, tmp_path, changes, message):
    with pytest.raises(ConfigError, match=message):
        plan(tissue, tmp_path, **changes)


def test_rivals_of_distillation_are_arms(tissue, tmp_path):
    rivals = (
        {"name": "dropout", "dropped_channels": ("membrane",)},
        {"name": "stain", "predicted_channels": ("membrane",)},
    )
    settings = plan(tissue, tmp_path / "s", arms=(*ARMS, *rivals), labels=(1,))
    state = study(settings)
    folders = {run.arm.name: run.folder for run in state.runs.values()}
    dropout, stain = (load_model(folders[f"{name}-1"] / "model") for name in ("dropout", "stain"))
    assert dropout.card.channels == ("nucleus", "blank")
    assert stain.card.channels == ("nucleus",)
    image = np.random.default_rng(0).random((1, 40, 40)).astype(np.float32)
    for model in (dropout, stain):
        assert predict(model, image, channels=("nucleus",))["cell"].shape == (40, 40)
    terms = [json.loads(line).get("terms") for line in (folders["stain-1"] / "log.jsonl").read_text().splitlines()]
    assert any("stains" in each for each in terms if each)
    run = next(run for run in state.runs.values() if run.arm.name == "stain-1")
    _, last = last_convolution(stain.module)
    learnt = next(iter(read_log(run.folder)))["weights"]
    one_channel = last.weight[0].numel() + 1  # its weights and its bias
    assert run.facts["parameters"] == {
        "trained": count_parameters(stain.module) + one_channel + len(learnt),
        "kept": count_parameters(stain.module),
    }
    bench = state.benches["unet-tiny"]
    training, _ = arm_entries(bench, next(r.arm for r in state.runs.values() if r.arm.name == "stain-1"), 0)
    assert len(training) == 4  # the channel is known of unlabelled fields too
    assert sum(entry.labelled for entry in training) == 1


@pytest.mark.parametrize("teacher", ["sam-tiny-tissue", "fit:unet-tiny"])
def test_prototype_matching_is_an_arm_whose_student_is_like_any_other(tissue, tmp_path, teacher):
    rival = {"name": "prototypes", "teacher": "full", "distillation": "prototype_matching"}
    teachers = {"full": {"teacher": teacher, "channels": ("nucleus", "membrane")}}
    settings = plan(tissue, tmp_path / "s", arms=(*ARMS, rival), labels=(1,), teachers=teachers)
    state = study(settings)
    runs = {run.arm.name: run for run in state.runs.values()}
    like, plain = (load_model(runs[f"{name}-1"].folder / "model") for name in ("prototypes", "student"))
    shapes = [{key: value.shape for key, value in each.module.state_dict().items()} for each in (like, plain)]
    assert shapes[0] == shapes[1]
    training, _ = arm_entries(state.benches["unet-tiny"], runs["prototypes-1"].arm, 0)
    assert {entry.similarity.shape for entry in training} == {(3, 48, 64)}  # cell, its boundary, the rest
    assert all(np.abs(entry.similarity).max() <= 1 for entry in training)
    training, _ = arm_entries(state.benches["unet-tiny"], runs["student-1"].arm, 0)
    assert all(entry.similarity is None for entry in training)
    log = [json.loads(line) for line in (runs["prototypes-1"].folder / "log.jsonl").read_text().splitlines()]
    assert any("distillation" in each.get("terms", {}) for each in log)
    assert len(list((tmp_path / "s/targets").iterdir())) == 1  # both arms learn from one store
    before = times(settings)
    study(settings)
    assert times(settings) == before


def test_prototype_matching_needs_a_teacher_and_its_features(tissue, tmp_path):
    rival = {"name": "prototypes", "teacher": "full", "distillation": "prototype_matching"}
    with pytest.raises(ConfigError, match="arm 'prototypes' has a distillation, but no teacher"):
        plan(tissue, tmp_path, arms=(*ARMS, {**rival, "teacher": None}))
    blurred = {"full": {"teacher": "blurred:2", "channels": ()}}
    settings = plan(tissue, tmp_path / "s", arms=(*ARMS, rival), teachers=blurred)
    with pytest.raises(ConfigError, match="the teacher 'blurred:2', which gives maps alone"):
        study(settings)


SCRIPT = """
import sys
from pathlib import Path
import torch
sys.path.insert(0, {tests!r})
from study_usual import plan
from segdistill.study.study_job import study
torch.set_num_threads(1)
study(plan(Path({tissue!r}), Path({out!r}), protocol={protocol!r}), notice=lambda text: print(text, flush=True))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot send SIGKILL")
def test_a_killed_study_goes_on_and_gives_the_same_scores(tissue, tmp_path):
    protocol = {"steps": 40, "batch_size": 2, "crop": 32, "validations": 1}

    def command(name):
        names = {"tests": str(Path(__file__).parent), "tissue": str(tissue), "out": str(tmp_path / name)}
        return [sys.executable, "-c", SCRIPT.format(**names, protocol=protocol)]

    settings = plan(tissue, tmp_path / "s", protocol=protocol)
    kills = 0
    for target in cells_of(settings)[1::2]:  # killed while this run is under way
        folder = folder_of(settings, target)
        with subprocess.Popen(command("s"), stdout=subprocess.PIPE, text=True) as process:
            while not list(folder.glob("*.ckpt")) and process.poll() is None:
                time.sleep(0.01)
            assert process.poll() is None, process.stdout.read()
            process.send_signal(signal.SIGKILL)
        kills += not (folder / DONE).exists()
    assert kills
    for name in ("s", "whole"):  # equal only where as many threads compute, so not in this process
        subprocess.run(command(name), check=True, capture_output=True)
    before = times(settings)
    going_on, whole = study(settings), study(plan(tissue, tmp_path / "whole", protocol=protocol))
    assert times(settings) == before  # read back, nothing was run
    assert {cell: run.records for cell, run in going_on.runs.items()} == {
        cell: run.records for cell, run in whole.runs.items()
    }
    assert json.loads((tmp_path / "s" / "settings.json").read_text())["command"] == "study"
