"""The tutorial does what it says: its commands are run in order, from an empty folder."""

import re
import shlex
from pathlib import Path

import pytest

from segdistill.cli import main

TUTORIAL = Path(__file__).parents[1] / "docs" / "tutorial.md"
BLOCK = re.compile(r"^```(?P<kind>\w+)(?: title=\"(?P<title>[^\"]+)\")?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


def run_shell(text, capsys):
    """Run every command of a block; return what was printed."""
    for line in text.replace("\\\n", " ").splitlines():
        program, *words = shlex.split(line)
        assert program == "segdistill"
        with pytest.raises(SystemExit) as end:
            main(words)
        assert end.value.code in {0, None}, line
    return capsys.readouterr().out


def test_every_block_runs_and_says_what_the_page_says(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    page = TUTORIAL.read_text(encoding="utf-8")
    printed = ""
    for block in BLOCK.finditer(page):
        if block["kind"] == "toml":
            Path(block["title"]).write_text(block["text"], encoding="utf-8")
        elif block["kind"] == "python":
            exec(compile(block["text"], "tutorial", "exec"), {})  # noqa: S102
            printed += capsys.readouterr().out
        else:
            assert block["kind"] == "sh", block["kind"]
            printed += run_shell(block["text"], capsys)
    for quoted in re.findall(r"^> (.+)$", page, re.MULTILINE):
        assert quoted in printed
    assert "The data cannot tell" in printed
    assert Path("runs/first/report.html").exists()
    assert len(list(Path("masks/cell").glob("*.tif"))) == 16
    assert Path("runs/study/unet-tiny/report.html").exists()
