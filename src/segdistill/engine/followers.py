"""Processes that wait for a training: how the first one calls them, and how they hear of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import torch
from torch import distributed

from segdistill.engine.launch import PATIENCE
from segdistill.engine.plan import Plan
from segdistill.engine.problem import Problem
from segdistill.errors import EnvironmentFault

Task = tuple[Problem, Path, Plan]

_waiting: ContextVar[Any] = ContextVar("waiting", default=None)
"""The connection to the processes that wait; None: nobody does."""


def connect() -> Any:
    """Return a connection for calls, apart from that of the trainings. Every process must come here."""
    return distributed.new_group(backend="gloo", timeout=PATIENCE)


@contextmanager
def waited_on(connection: Any) -> Iterator[None]:
    """In the first process: let the others wait for its trainings, and in the end, whatever it was, let them go."""
    token = _waiting.set(connection)
    try:
        yield
    finally:
        _waiting.reset(token)
        _exchange(None, connection)


def call_followers(problem: Problem, folder: Path, plan: Plan) -> None:
    """In the first process: call those that wait, if any do, to a training that begins now."""
    connection = _waiting.get()
    if connection is not None:
        _exchange((problem, folder, plan), connection)


def hear(connection: Any) -> Task | None:
    """In another process: wait for the next training, and return it; None: there is none any more.

    Raises:
        EnvironmentFault: The first process has gone.
    """
    try:
        return _exchange(None, connection)
    except RuntimeError as error:  # what a broken connection raises
        raise EnvironmentFault(f"The first process has gone: its own message says why ({error}).") from error


def _exchange(task: Task | None, connection: Any) -> Task | None:
    """Give what the first process has to all."""
    message = [task]
    distributed.broadcast_object_list(message, src=0, group=connection, device=torch.device("cpu"))
    return message[0]
