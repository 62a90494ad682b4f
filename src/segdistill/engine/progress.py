"""Showing a person how far a run is: a bar on a terminal, now and then a line elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from segdistill.engine.meter import Pace

Show = Callable[[int, float, Pace], None]
"""Called after each step with the steps done, the loss and the pace."""

_SECONDS_BETWEEN_LINES = 10.0

_bars: ContextVar[bool] = ContextVar("bars", default=True)


@contextmanager
def without_bars() -> Iterator[None]:
    """Within the block no bar is drawn on a terminal: for processes that share one."""
    token = _bars.set(False)
    try:
        yield
    finally:
        _bars.reset(token)


@contextmanager
def shown(steps: int, *, done: int, notice: Callable[[str], None], console: Console | None = None) -> Iterator[Show]:
    """Yield what is called after each step.

    Args:
        steps: Optimiser steps of the whole run.
        done: Steps done before it was resumed.
        notice: Told the plain lines, where there is no terminal.
        console: Where a bar would be drawn. None is standard error.
    """
    console = console or Console(stderr=True)
    if not (console.is_terminal and _bars.get()):
        yield _lines(steps, done, notice)
        return
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.4g}, {task.fields[pace]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, redirect_stdout=False) as progress:
        task = progress.add_task("", total=steps, completed=done, loss=float("nan"), pace="")
        yield lambda step, loss, pace: progress.update(task, completed=step, loss=loss, pace=describe(pace))


def unshown(step: int, loss: float, pace: Pace) -> None:
    """Show nothing, in every process but the first."""


def describe(pace: Pace) -> str:
    """Return a pace in words.

    >>> describe(Pace(images_per_s=12.34, data_wait=0.021))
    '12.3 images/s, data wait 2 %'
    """
    return f"{pace.images_per_s:.3g} images/s, data wait {100 * pace.data_wait:.0f} %"


def time_left(seconds: float) -> str:
    """Return a duration as hours, minutes and seconds.

    >>> time_left(61.4), time_left(3661.0)
    ('1:01', '1:01:01')
    """
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def _lines(steps: int, done: int, notice: Callable[[str], None]) -> Show:
    began = last = time.monotonic()

    def show(step: int, loss: float, pace: Pace) -> None:
        nonlocal last
        now = time.monotonic()
        if step < steps and now - last < _SECONDS_BETWEEN_LINES:
            return
        last = now
        left = (now - began) / (step - done) * (steps - step)
        notice(f"step {step}/{steps}: loss {loss:.4g}, {describe(pace)}, {time_left(left)} left")

    return show
