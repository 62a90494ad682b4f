import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from cyclopts import Parameter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import Field, model_validator

from segdistill import __version__
from segdistill.cli.app import COMMANDS
from segdistill.errors import DataError, EnvironmentFault, TrainingStopped
from segdistill.settings import Settings

SHOW = "import sys; from segdistill.cli import status; code = status(sys.argv[1:]); "


def python(code: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)


class Inner(Settings):
    steps: Annotated[int, Field(gt=0)] = 10
    """Steps."""

    crop: int = 64
    """Pixels."""

    flips: bool = True
    """Mirror."""


class Outer(Settings):
    name: str
    """A name."""

    kind: Literal["one", "two"] = "one"
    """A kind."""

    seeds: tuple[int, ...] = (0,)
    """Seeds."""

    targets: int | None = None
    """Called as a command is."""

    inner: Inner = Inner()
    """More."""

    @model_validator(mode="after")
    def _consistent(self) -> "Outer":
        if self.name == "nobody":
            raise ValueError("name must be somebody")
        return self


@pytest.fixture
def seen(register) -> list[Outer]:
    """What the command `toy` was called with."""
    calls: list[Outer] = []

    def toy(*, config: Annotated[Outer, Parameter(name="*")]) -> None:
        calls.append(config)

    register(toy)
    return calls


def written(folder: Path, text: str) -> Path:
    path = folder / "toy.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_help_lists_every_command_without_importing_torch():
    done = python(SHOW + "print(code, 'torch' in sys.modules, file=sys.stderr)", "--help")
    assert done.stderr == "0 False\n"
    assert [name for name in COMMANDS if f" {name} " not in done.stdout] == []


def test_no_command_imports_torch_before_it_runs():
    code = "import sys; from importlib import import_module; "
    code += "[import_module(f'segdistill.cli.{name}') for name in sys.argv[1:]]; print('torch' in sys.modules)"
    done = python(code, *(name.replace("-", "_") for name in COMMANDS))
    assert (done.stdout, done.stderr) == ("False\n", "")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(run, name):
    done = run(name, "--help")
    assert done.status == 0
    assert done.out.startswith(f"Usage: segdistill {name}")
    assert done.err == ""


def test_without_a_command_there_is_help(run):
    assert run().out == run("--help").out


def test_version(run):
    assert run("--version").out == f"{__version__}\n"


@pytest.mark.parametrize("word", ["simulat", "Simulate", "simulates"])
def test_an_unknown_command_comes_with_the_nearest_name(run, word):
    done = run(word, "out")
    assert done.status == 2
    assert f"There is no command called '{word}'. Did you mean 'simulate'?" in done.err
    assert len(done.err.splitlines()) == 1


def test_an_option_before_any_command_is_refused(run):
    done = run("--epoch", "5")
    assert done.status == 2
    assert "--epoch: there is no such option." in done.err


def test_unknown_options_come_with_the_nearest_names_all_at_once(run, seen):
    done = run("toy", "--name", "x", "--inner.step", "5", "--sed=3", "--seeds", "1")
    assert done.status == 2
    assert "2 settings are wrong" in done.err
    assert "--inner.step: there is no such option. Did you mean '--inner.steps'?" in done.err
    assert "--sed: there is no such option. Did you mean '--seeds'?" in done.err
    assert seen == []


@pytest.mark.parametrize(
    ("word", "option"),
    [("--epoch", "--protocol.steps"), ("--lr", "--protocol.learning-rate"), ("--batch", "--protocol.batch-size")],
)
def test_what_other_programs_call_an_option_is_understood(run, word, option):
    assert f"{word}: there is no such option. Did you mean '{option}'?" in run("distill", word, "5").err


def test_no_option_is_guessed_where_none_is_near(run, tmp_path):
    done = run("simulate", tmp_path / "out", "--epoch", "5")
    assert done.status == 2
    assert "--epoch: there is no such option.\n" in done.err
    assert "Did you mean" not in done.err


@pytest.mark.parametrize("command", ["simulate", "simulate-fluoroscopy"])
def test_the_folder_of_a_simulation_may_be_named_by_an_option(run, tmp_path, command):
    few = ("--count", "1") if command == "simulate" else ("--clips", "1", "--frames", "2")
    assert run(command, "--out", tmp_path / "out", *few).status == 0
    assert (tmp_path / "out" / "images").is_dir()


def test_a_stray_word_is_refused(run, tmp_path):
    done = run("simulate", tmp_path / "out", "extra")
    assert done.status == 2
    assert "'extra': this word belongs to no option." in done.err
    assert not (tmp_path / "out").exists()


def test_every_mistake_of_a_command_line_is_told_at_once(run, seen):
    done = run("toy", "--inner.steps", "0", "--inner.crop", "wide", "--kind", "three", "--colour", "red")
    assert done.status == 2
    assert done.err.startswith("segdistill: 5 settings are wrong:")  # name is missing, colour is unknown
    assert all(f"\n  {line}" in done.err for line in ("--name: must be given.", "--colour: there is no such option."))
    assert "--inner.steps: must be greater than 0 (found '0')" in done.err
    assert "--inner.crop: must be a whole number (found 'wide')" in done.err
    assert "--kind: must be 'one' or 'two' (found 'three')" in done.err
    assert "Traceback" not in done.err


def test_every_mistake_is_told_where_a_command_has_no_settings_model(run, tmp_path):
    done = run("simulate", tmp_path / "out", "--count", "many", "--seed", "x")
    assert done.status == 2
    assert '--count: unable to convert "many" into int' in done.err
    assert '--seed: unable to convert "x" into int' in done.err


def test_settings_that_disagree_are_refused_in_the_settings_own_words(run, seen):
    done = run("toy", "--name", "nobody")
    assert done.status == 2
    assert "name must be somebody" in done.err


def test_a_part_of_a_setting_is_called_after_the_option(run, seen):
    assert "--seeds: must be a whole number (found 'two')" in run("toy", "--name", "x", "--seeds", "1", "two").err


def test_an_option_without_its_value_is_refused(run, seen):
    done = run("toy", "--name")
    assert done.status == 2
    assert "--name" in done.err
    assert "Parsed" not in done.err


def test_a_settings_file_gives_what_the_command_line_does_not(run, seen, tmp_path):
    file = written(tmp_path, 'name = "a"\nseeds = [1, 2]\n[inner]\nsteps = 7\ncrop = 32\nflips = false\n')
    assert run("toy", "--config", file, "--seeds", "5", "--inner.crop", "48").status == 0
    assert seen == [Outer(name="a", seeds=(5,), inner=Inner(steps=7, crop=48, flips=False))]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=8, deadline=None)
@given(here=st.integers(1, 10**6), there=st.integers(1, 10**6), place=st.sampled_from(["before", "after"]))
def test_the_command_line_wins_over_the_file(run, seen, tmp_path, here, there, place):
    file = written(tmp_path, f'name = "a"\n[inner]\nsteps = {there}\n')
    config, own = ["--config", file], ["toy", "--inner.steps", here]
    assert run(*(config + own if place == "before" else own + config)).status == 0
    assert seen[-1].inner.steps == here
    assert run("toy", *config).status == 0
    assert seen[-1].inner.steps == there


def test_unknown_keys_of_a_settings_file_are_named_with_the_file_and_the_nearest(run, seen, tmp_path):
    file = written(tmp_path, 'name = "a"\nflips = true\nnothing = 1\n[inner]\nstep = 7\n[other]\nx = 1\n')
    done = run("toy", "--config", file)
    assert done.status == 2
    assert "4 settings are wrong" in done.err
    assert f"inner.step in {file}: there is no such setting. Did you mean 'inner.steps'?" in done.err
    assert f"flips in {file}: there is no such setting. Did you mean 'inner.flips'?" in done.err
    assert f"nothing in {file}: there is no such setting.\n" in done.err
    assert f"other in {file}" in done.err
    assert seen == []


def test_wrong_values_of_a_settings_file_are_told_beside_those_of_the_command_line(run, seen, tmp_path):
    file = written(tmp_path, 'name = "a"\n[inner]\nsteps = -7\n')
    done = run("toy", "--config", file, "--kind", "three")
    assert "2 settings are wrong" in done.err
    assert f"inner.steps in {file}: must be greater than 0 (found '-7')" in done.err
    assert "--kind: must be 'one' or 'two'" in done.err


def test_a_plan_that_is_given_as_settings_is_told_where_it_belongs(run, tmp_path):
    plan = written(tmp_path, 'data = "tissue"\nstudent_channels = ["nucleus"]\n[[arms]]\nname = "baseline"\n')
    done = run("study", "--config", plan)
    assert done.status == 2
    assert f"a plan is given by itself: `segdistill study {plan}`" in done.err
    assert "no such setting" not in done.err
    assert "out in" not in run("study", "--config", written(tmp_path, 'out = "x"\n')).err


def test_a_setting_that_is_called_as_a_command_is_not_lost(run, seen, tmp_path):
    assert "targets" in COMMANDS
    assert run("toy", "--config", written(tmp_path, 'name = "a"\ntargets = 3\n')).status == 0
    assert seen[0].targets == 3


@pytest.mark.parametrize(("text", "message"), [(None, "There is no settings file"), ("a = = 1", "is not TOML")])
def test_a_settings_file_that_cannot_be_read_is_refused(run, seen, tmp_path, text, message):
    file = tmp_path / "absent.toml" if text is None else written(tmp_path, text)
    done = run("toy", "--config", file)
    assert done.status == 2
    assert message in done.err
    assert str(file) in done.err


@pytest.mark.parametrize(
    ("error", "code"),
    [(DataError("bad file"), 2), (EnvironmentFault("disk full"), 3), (TrainingStopped("NaN"), 4)],
)
def test_what_is_refused_has_a_message_and_a_status_but_no_traceback(run, register, error, code):
    def fail() -> None:
        raise error

    register(fail)
    done = run("fail")
    assert (done.status, done.err) == (code, f"segdistill: {error}\n")


def test_a_bug_keeps_its_traceback(run, register):
    def fail() -> None:
        raise RuntimeError("a slip")

    register(fail)
    done = run("fail")
    assert done.status == 70
    assert "Traceback" in done.err
    assert "RuntimeError: a slip" in done.err
    assert "bug in segdistill" in done.err


def test_a_command_is_interrupted(run, register):
    def fail() -> None:
        raise KeyboardInterrupt

    register(fail)
    done = run("fail")
    assert done.status == 130
    assert "Traceback" not in done.err


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root and Windows read everything")
def test_a_folder_that_may_not_be_read_is_the_environments_fault(run, tmp_path):
    folder = tmp_path / "closed"
    folder.mkdir(mode=0)
    done = run("check", folder / "data")
    assert done.status == 3
    assert str(folder) in done.err


def test_what_may_not_be_read_is_the_environments_fault(run, register):
    def fail() -> None:
        raise PermissionError(13, "Permission denied", "closed")

    register(fail)
    done = run("fail")
    assert done.status == 3
    assert "Permission denied: 'closed'" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(("answer", "code"), [(None, 0), (0, 0), (1, 1)])
def test_a_command_answers_with_its_status(run, register, answer, code):
    def answering() -> Any:
        return answer

    register(answering)
    assert run("answering").status == code


def test_a_reader_that_has_had_enough_is_no_fault():
    code = "from segdistill.cli import app, main; app.run = lambda tokens: print('word') or 0; main([])"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()  # before anything can have been written
        assert process.stderr is not None
        errors = process.stderr.read()
    assert (process.returncode, errors) == (0, b"")
