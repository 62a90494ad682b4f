import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest

from segdistill.cli import app, status


@dataclass(frozen=True)
class Outcome:
    status: int
    out: str
    err: str


Run = Callable[..., Outcome]


@pytest.fixture
def run(capsys) -> Run:
    """Run a command line in this process."""

    def call(*words: object) -> Outcome:
        code = status([str(word) for word in words])
        return Outcome(code, *capsys.readouterr())

    return call


@pytest.fixture
def register(monkeypatch) -> Callable[[Callable[..., Any]], None]:
    """Add a command to the command line, under the function's name."""

    def add(command: Callable[..., Any]) -> None:
        name = command.__name__
        module = ModuleType(f"segdistill.cli.{name}")
        setattr(module, name, command)
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setitem(app.COMMANDS, name, "A command of the tests.")

    return add
