"""Other data sets to score students on, named on the command line and in a settings file."""

from pathlib import Path

import pytest

from segdistill import study

USUAL = ("distill", "--data", "d", "--out", "o", "--teacher", "t", "--teacher-channels", "n", "--student-channels", "n")


@pytest.fixture
def asked(monkeypatch):
    calls = []
    monkeypatch.setattr(study, "distill", lambda settings, **_: calls.append(settings), raising=False)
    monkeypatch.setattr(study, "headline", lambda _: "", raising=False)
    return calls


def test_on_the_command_line_and_in_a_file_alike(run, asked, tmp_path):
    file = tmp_path / "job.toml"
    file.write_text('[shift.bbbc038]\ndata = "x.csv"\nstructure = "nucleus"\ninvert = "bright"\n', encoding="utf-8")
    assert run(*USUAL, "--config", file).status == 0
    words = (
        "--shift.bbbc038.data",
        "x.csv",
        "--shift.bbbc038.structure",
        "nucleus",
        "--shift.bbbc038.invert",
        "bright",
    )
    assert run(*USUAL, *words).status == 0
    first, second = asked
    assert first == second
    assert (first.shift["bbbc038"].data, first.shift["bbbc038"].invert) == (Path("x.csv"), "bright")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--shift.a.data", "x", "--shift.a.invert", "brigth"), "'none', 'all' or 'bright' (found 'brigth')"),
        (("--shift.a.structure", "nucleus"), "--shift: must be given."),
        (("--shift.test.data", "x"), "a data set is called test"),
    ],
)
def test_what_is_wrong_with_it_is_told(run, asked, words, message):
    done = run(*USUAL, *words)
    assert done.status == 2
    assert message in done.err
    assert asked == []
