"""Several pieces of work at once on one machine, each in a process of its own.

Small networks leave most of a processor idle: on two cores, two trainings of one thread each are done when one of two
threads would be. Nothing is shared but the folders that the work writes, so whatever a piece left is found by the next
call, however this one ended.
"""

import os
import signal
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from threading import Thread
from typing import Any

import torch

from segdistill.engine.progress import without_bars
from segdistill.engine.ranks import layout
from segdistill.engine.signals import StopSignals
from segdistill.errors import ConfigError, EnvironmentFault, SegdistillError, TrainingStopped

Notice = Callable[[str], None]
Work = Callable[[Any, Any, Notice], None]
"""Called with what all pieces share, with one piece, and with whom to tell; defined in a module, so that it pickles."""

_GLANCE = 0.5
"""Seconds between two looks whether this process was asked to stop."""


@dataclass
class _Hand:
    """A process that works."""

    process: BaseProcess
    connection: Any
    """An end of a pipe, whose type depends on the system."""
    busy: bool = True

    def give(self, piece: Any) -> None:
        """Send the next piece; None: there is none. That it has gone, if it has, is noticed when it is heard."""
        with suppress(OSError):
            self.connection.send(piece)


def check_at_once(at_once: int) -> None:
    """Refuse to work side by side in one of several processes that a launcher started.

    Raises:
        ConfigError: They share the machine already.
    """
    here = layout(os.environ)
    if at_once > 1 and here.world > 1:
        raise ConfigError(
            f"at_once is {at_once}, but {here.launcher} started {here.world} processes, which train together, one"
            f" training after the other. Leave at_once at 1, or start one process without {here.launcher}."
        )


def side_by_side(work: Work, shared: Any, pieces: Sequence[Any], *, at_once: int, notice: Notice) -> None:
    """Do every piece, some at once.

    Each process has its part of the threads that this one has. A script that calls this, or what calls it, must do so
    under ``if __name__ == "__main__"``, as Python's multiprocessing wants it.

    Args:
        work: Does a piece. It keeps what it made in files.
        shared: What every piece needs. It is pickled, once for each process.
        pieces: Pickled too. They are begun in this order.
        at_once: How many at once, at most.
        notice: Told what the processes say, line by line.

    Raises:
        TrainingStopped: SIGTERM or SIGINT came; trainings under way wrote a checkpoint.
        EnvironmentFault: A process ended without a word, as one that is killed for its memory does.
        SegdistillError: The first that a piece raised; the others were asked to stop.
        RuntimeError: A piece raised something else, which is in its message.
    """
    with StopSignals() as signals:
        threads = max(1, torch.get_num_threads() // at_once)
        crew = _Crew([_hire(work, shared, threads) for _ in pieces[:at_once]], list(pieces), notice)
        crew.work(asked_to_stop=lambda: signals.received is not None)
    if signals.received is not None:
        raise TrainingStopped("Asked to stop; trainings under way were kept. The same command goes on from there.")
    if crew.trouble is not None:
        raise crew.trouble


def _hire(work: Work, shared: Any, threads: int) -> _Hand:
    """Start a process that waits for pieces."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work_on, args=(theirs, work, shared, threads))
    process.start()
    theirs.close()  # else nobody would notice that it has gone
    return _Hand(process, ours)


@dataclass
class _Crew:
    """Processes, and what is left for them to do."""

    hands: list[_Hand]
    left: list[Any]
    notice: Notice
    trouble: Exception | None = None
    """The first that came up."""
    stopping: bool = False

    def work(self, *, asked_to_stop: Callable[[], bool]) -> None:
        """Give out what is left until nothing is, or something came up, and wait until every process has ended."""
        for hand in self.hands:
            hand.give(self.left.pop(0))
        while self.hands:
            for hand in _heard(self.hands):
                self._hear(hand)
            if not self.stopping and (self.trouble is not None or asked_to_stop()):
                self.stopping = True
                for hand in self.hands:
                    hand.process.terminate()

    def _hear(self, hand: _Hand) -> None:
        """Take a word of a process: a line for a person, what went wrong, or that its piece is done."""
        try:
            word = hand.connection.recv()
        except (EOFError, OSError):
            self._miss(hand)
            return
        if isinstance(word, str):
            self.notice(word)
        elif isinstance(word, Exception):
            hand.busy = False
            self.trouble = self.trouble or word
        elif not self.stopping:
            hand.busy = bool(self.left)
            hand.give(self.left.pop(0) if self.left else None)

    def _miss(self, hand: _Hand) -> None:
        """Let go of a process that has ended."""
        self.hands.remove(hand)
        hand.process.join()
        if hand.busy and not self.stopping:
            self.trouble = self.trouble or _lost(hand.process.exitcode)


def _heard(hands: Sequence[_Hand]) -> list[_Hand]:
    heard = wait([hand.connection for hand in hands], timeout=_GLANCE)
    return [hand for hand in hands if hand.connection in heard]


def _lost(status: int | None) -> EnvironmentFault:
    return EnvironmentFault(
        f"A process that trained ended without a word (exit status {status}). Most often the system ended it because"
        " memory ran out: try again with fewer at once. A script of your own must call this under"
        ' `if __name__ == "__main__":`. What is finished is kept.'
    )


def _work_on(connection: Connection, work: Work, shared: Any, threads: int) -> None:
    """Do pieces in a process of its own, until there are no more or one fails."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the first process passes it on as SIGTERM
    torch.set_num_threads(threads)
    Thread(target=_end_with_first, daemon=True).start()

    def say(text: str) -> None:
        with suppress(OSError):  # the first process has gone: this one is about to stop
            connection.send(text)

    with without_bars(), suppress(EOFError, OSError):
        while (piece := connection.recv()) is not None:
            try:
                work(shared, piece, say)
            except SegdistillError as error:
                connection.send(error)
                return
            except Exception:  # raised again in the first process, with its trace
                connection.send(RuntimeError(f"In a process beside this one:\n{traceback.format_exc()}"))
                return
            connection.send(True)


def _end_with_first() -> None:
    """Ask this process to stop once the one that started it has gone: no one else would."""
    first = parent_process()
    if first is not None:
        first.join()
        os.kill(os.getpid(), signal.SIGTERM)
