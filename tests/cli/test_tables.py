import subprocess
import sys

import pytest

from segdistill.cli.tables import show
from segdistill.networks import BUILTIN, build_student, describe_student, students
from segdistill.networks.facts import CHANNELS, OUTPUTS, known_students
from segdistill.study.fitted import PREFIX as FITTED
from segdistill.teachers import load
from segdistill.teachers.catalogue import PROMPTINGS, known_teachers
from segdistill.teachers.contract import Prompting
from segdistill.teachers.sam_build import EMBEDDED
from segdistill.teachers.sam_weights import PUBLISHED

SHORT = [student for student in known_students() if student.short]


def on_terminal(monkeypatch) -> None:
    """Pretend to print on a terminal of 80 columns that knows no colours."""
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)


def test_off_a_terminal_every_row_stays_on_its_line(capsys):
    show("Title", ("name", "size"), [("a", "1" * 200), ("long", "[red]")], numbers=("size",))
    title, head, first, second = capsys.readouterr().out.splitlines()
    assert (title, head) == ("Title", "name" + " " * 198 + "size")
    assert first.split() == ["a", "1" * 200]
    assert second == "long" + " " * 197 + "[red]"


def test_on_a_terminal_cells_wrap_and_markup_is_text(capsys, monkeypatch):
    on_terminal(monkeypatch)
    show("Title", ("name", "words"), [("first-column-is-whole", "[red] " + 20 * "words ")])
    lines = capsys.readouterr().out.splitlines()
    assert 70 < max(map(len, lines)) <= 80
    assert any("first-column-is-whole" in line for line in lines)
    assert any("[red]" in line for line in lines)


@pytest.mark.parametrize("command", ["models", "teachers"])
def test_tables_are_readable_at_80_columns(run, monkeypatch, command):
    on_terminal(monkeypatch)
    done = run(command)
    assert done.status == 0
    table = done.out.partition("Weights that are not")[0]
    assert [line for line in table.splitlines() if len(line) > 80] == []
    names = [student.name for student in SHORT] if command == "models" else [each.name for each in known_teachers()]
    firsts = [line.split()[0] for line in table.splitlines() if line.strip()]
    assert set(names) <= set(firsts)  # no name is broken or cut


def test_models_lists_the_short_names_and_says_how_to_name_others(run):
    done = run("models")
    lines = done.out.splitlines()
    assert [line.split()[0] for line in lines[2 : 2 + len(BUILTIN)]] == list(BUILTIN)
    assert "unet-resnet50" not in done.out
    assert "called unet-<timm encoder>" in done.out
    assert all(licence in done.out for licence in ("Apache-2.0", "MIT"))


def test_models_lists_all_when_asked(run):
    listed = {line.split()[0] for line in run("models", "--all").out.splitlines() if line[:5] in {"unet-", "vit-t"}}
    assert listed == set(students())


def test_every_student_is_known():
    assert [student.name for student in SHORT] == list(BUILTIN)
    assert {student.name for student in known_students()} == set(students())


@pytest.mark.parametrize("student", SHORT, ids=lambda student: student.name)
def test_what_is_known_of_a_student_is_true(student):
    facts = describe_student(student.name, channels=CHANNELS, outputs=OUTPUTS)
    assert (student.parameters, student.encoder_parameters) == (facts["parameters"], facts["encoder_parameters"])
    assert student.gigamacs_per_megapixel == pytest.approx(facts["gigamacs_per_megapixel"], abs=0.051)
    assert student.stride == facts["stride"]


def test_the_reach_of_the_smallest_student_is_what_inference_measures():
    from segdistill.inference.halo import measure_reach

    (tiny,) = [student for student in SHORT if student.name == "unet-tiny"]
    network = build_student("unet-tiny", channels=CHANNELS, outputs=OUTPUTS).eval()
    assert measure_reach(network, channels=CHANNELS, limit=96) == tiny.reach


def test_every_teacher_is_known_by_its_name():
    kinds = [each.name.partition(":")[0] for each in known_teachers() if ":" in each.name]
    assert sorted(kinds) == sorted([*load.PREFIXES, FITTED.rstrip(":")])
    assert {each.name for each in known_teachers() if ":" not in each.name} == set(load.BUILTIN)
    assert set(PROMPTINGS) == set(Prompting.__args__)


@pytest.mark.parametrize("name", PUBLISHED)
def test_weights_that_are_not_here_come_with_the_command_that_gets_them(run, name):
    (teacher,) = [each for each in known_teachers() if each.name == name]
    assert PUBLISHED[name].hub in teacher.weights
    assert teacher.megabytes == PUBLISHED[name].megabytes
    assert teacher.weights in run("teachers").out


@pytest.mark.parametrize("name", EMBEDDED)
def test_what_is_said_of_an_embedded_teacher_is_its_contract(name):
    (teacher,) = [each for each in known_teachers() if each.name == name]
    contract = load.load_teacher(name).contract
    assert teacher.channels.split(", ") == [channel for channel in contract.channels if channel != "blank"]
    assert (teacher.size, teacher.licence) == (contract.size, contract.licence)
    assert str(contract.labels_seen) in teacher.labels


def test_teachers_explains_every_prompting(run):
    out = run("teachers").out
    assert all(f"\n  {prompting:<6} " in out for prompting in PROMPTINGS)
    assert "oracle" in out


@pytest.mark.parametrize("command", ["models", "teachers"])
def test_the_tables_need_no_torch(command):
    code = "import sys; from segdistill.cli import status; status(sys.argv[1:]); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, command], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("\nFalse\n")
