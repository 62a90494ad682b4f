"""Processes that take pieces of work from a Dask scheduler, and what becomes of the pieces.

A piece of a worker that ends is done again by another. So a piece must leave whole files or none, and give the same
result whenever and wherever it is done.
"""

import logging
import platform
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack, chdir, contextmanager
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

import segdistill
from segdistill.errors import ConfigError, EnvironmentFault, MissingExtra

Notice = Callable[[str], None]
Piece = TypeVar("Piece")
Result = TypeVar("Result")

_SECONDS_TO_ANSWER = 20
_SECONDS_FOR_A_WORKER = 300
_GLANCE = 5
"""Seconds between two looks whether any worker is left."""

_AHEAD = 2
"""Pieces per worker that are given out before they are needed, so that none waits for its next."""


class Team:
    """Workers that take pieces; from ``team_of``.

    Args:
        client: Of Dask's scheduler.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._place = Path.cwd()

    @property
    def size(self) -> int:
        """Number of workers; they may come and go."""
        return len(self._client.nthreads())

    def as_done(self, work: Callable[[Piece], Result], pieces: Iterable[Piece]) -> Iterator[tuple[Piece, Result]]:
        """Yield each piece with its result, in the order in which they are done.

        Args:
            work: Does a piece. It must be importable on every worker, with the same result there.
            pieces: Taken as workers become free, so that they may be many.

        Raises:
            EnvironmentFault: Workers ended again and again on one piece, all have gone and none came, or the scheduler
                did not answer.
            Exception: What ``work`` raised; no further piece is begun.
        """
        left = iter(pieces)
        given: dict[Any, Piece] = {}
        with self._given_back(given):
            self._give(work, left, given)
            while given:
                for future in self._done_of(list(given)):
                    piece, result = given.pop(future), self._result_of(future)
                    self._give(work, left, given)
                    yield piece, result

    def in_order(self, work: Callable[[Piece], Result], pieces: Iterable[Piece]) -> Iterator[Result]:
        """Yield the results in the order of the pieces; few are held at a time.

        Args:
            work: As of ``as_done``.
            pieces: Taken no further ahead than two per worker.

        Raises:
            EnvironmentFault: As of ``as_done``.
            Exception: What ``work`` raised; no further piece is begun.
        """
        left = iter(pieces)
        given: dict[Any, Piece] = {}
        with self._given_back(given):
            self._give(work, left, given)
            while given:
                future = next(iter(given))
                self._done_of([future])
                result = self._result_of(future)
                del given[future]
                self._give(work, left, given)
                yield result

    def ask_each(self, question: Callable[..., Result], *arguments: Any) -> Mapping[str, Result]:
        """Return what every worker that is there answers, by its address."""
        return self._client.run(_in_place, self._place, _version(), question, *arguments)

    def _done_of(self, futures: Sequence[Any]) -> Sequence[Any]:
        """Wait until some are done, and return them; not for ever, where nobody is left who could do them."""
        import distributed

        wait: Any = distributed.wait  # typed as a coroutine, which it is for asynchronous clients alone
        seen = monotonic()
        while True:
            try:
                return [*wait(futures, timeout=_GLANCE, return_when="FIRST_COMPLETED").done]
            except CancelledError as error:
                raise _without_scheduler(error) from error
            except TimeoutError:
                now = monotonic()
                seen = now if self.size else seen
            if now - seen > _SECONDS_FOR_A_WORKER:
                raise _without_workers()

    def _result_of(self, future: Any) -> Any:
        """Return what came of one that was done. Its worker may have gone with it: then another does it again."""
        from distributed import KilledWorker

        while True:
            try:
                return future.result(timeout=_SECONDS_FOR_A_WORKER)
            except TimeoutError as error:
                if future.status == "error":  # the work itself raised it
                    raise
                if not self.size:
                    raise _without_workers() from error
            except KilledWorker as error:
                raise EnvironmentFault(
                    "One piece of work ended several workers, one after another. Most often the system ended them"
                    " because memory ran out: try fewer workers, or a smaller --tile. What is finished is kept."
                ) from error
            except CancelledError as error:
                raise _without_scheduler(error) from error

    def _give(self, work: Callable[[Piece], Any], left: Iterator[Piece], given: dict[Any, Piece]) -> None:
        """Give out so many pieces that every worker has its next."""
        for piece in islice(left, max(0, _AHEAD * max(1, self.size) - len(given))):
            future = self._client.submit(_in_place, self._place, _version(), work, piece, pure=False)
            given[future] = piece

    @contextmanager
    def _given_back(self, given: Mapping[Any, Any]) -> Iterator[None]:
        """Take back, at the end, what was given out and is not needed any more."""
        try:
            yield
        finally:
            self._client.cancel(list(given))


@contextmanager
def team_of(workers: int, scheduler: str | None = None, *, notice: Notice = lambda _: None) -> Iterator[Team]:
    """Give a team; workers that were started here end with the block.

    Note [One thread each]: a worker does one piece at a time with one thread, so that results do not depend on how many
    workers there are, and two pieces never share a network.

    Args:
        workers: Processes to start on this machine. Void where a scheduler is named.
        scheduler: Address of a Dask scheduler that runs already, such as tcp://head:8786, whose workers see the same
            files as this process; some minutes are waited for the first of them, and more may come later. None: start
            them here.
        notice: Told who works.

    Raises:
        MissingExtra: Dask is not installed.
        EnvironmentFault: The scheduler does not answer, gets no worker, or its workers have another version of this
            package.
        ConfigError: Its workers have several threads each.
    """
    try:
        import distributed
    except ImportError as error:
        raise MissingExtra("distributed", "distributed", "Work on several processes") from error
    with ExitStack() as stack:
        if scheduler is None:
            cluster = stack.enter_context(
                distributed.LocalCluster(
                    n_workers=workers, threads_per_worker=1, dashboard_address=":0", silence_logs=logging.CRITICAL
                )
            )
            client = stack.enter_context(distributed.Client(cluster))
        else:
            client = stack.enter_context(_client(scheduler))
        yield _looked_at(client, scheduler or "this machine", notice)


def _client(scheduler: str) -> Any:
    import distributed

    try:
        return distributed.Client(scheduler, timeout=_SECONDS_TO_ANSWER)
    except (OSError, ValueError) as error:
        raise EnvironmentFault(
            f"The scheduler at {scheduler} does not answer ({error}). Start one with `dask scheduler`, or correct its"
            " address, which it prints when it starts."
        ) from error


def _looked_at(client: Any, place: str, notice: Notice) -> Team:
    """Return the team of a client, after a look at who is in it."""
    if not client.nthreads():
        notice(f"Waiting for the first worker of {place} …")
    try:
        client.wait_for_workers(1, timeout=_SECONDS_FOR_A_WORKER)
    except TimeoutError as error:
        raise EnvironmentFault(
            f"The scheduler at {place} got no worker within {_SECONDS_FOR_A_WORKER} s. Start some with"
            f" `dask worker {place} --nthreads 1`."
        ) from error
    threads: Mapping[str, int] = client.nthreads()
    several = sorted(address for address, number in threads.items() if number > 1)
    if several:
        raise ConfigError(
            f"{len(several)} workers of {place} do several pieces at once, such as {several[0]} with"
            f" {threads[several[0]]} threads. Start them with `dask worker --nthreads 1 --nworkers N`."
        )
    team = Team(client)
    team.ask_each(_version)
    notice(f"{team.size} workers of {place}, one thread each.")
    return team


def _in_place(place: Path, version: str, work: Callable[..., Result], *arguments: Any) -> Result:
    """Work as the asking process would: in its folder, so that relative paths mean the same, with the same code."""
    if version != _version():
        raise EnvironmentFault(
            f"A worker on {platform.node()} has {_version()}, and who asks it {version}. Install the same on every"
            " machine."
        )
    with ExitStack() as stack:
        try:
            stack.enter_context(chdir(place))
        except OSError as error:
            raise EnvironmentFault(
                f"A worker on {platform.node()} cannot work in {place}: {error.strerror}. Start from a folder that all"
                " machines share."
            ) from error
        return work(*arguments)


def _version() -> str:
    return f"segdistill {segdistill.__version__} on Python {sys.version_info.major}.{sys.version_info.minor}"


def _without_scheduler(error: BaseException) -> EnvironmentFault:
    return EnvironmentFault(f"The scheduler has gone ({error}). What is finished is kept.")


def _without_workers() -> EnvironmentFault:
    return EnvironmentFault(
        f"All workers have gone, and none came within {_SECONDS_FOR_A_WORKER} s. Look at what they said last, start"
        " others, and give the same command again: what is finished is kept."
    )
