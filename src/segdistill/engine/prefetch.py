"""Reading the next batches while the present one is learnt from."""

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any


class Prefetch:
    """Batches of consecutive steps, read ahead by one thread.

    Args:
        fetch: Returns the batch of a step; a pure function.
        steps: The steps that will be taken, in order.
        ahead: How many batches are read, at most, before they are asked for.

    An error in the thread is raised where its batch is taken: the very same error, with its own
    traceback and cause.

    >>> with Prefetch(lambda step: [step], range(2)) as batches:
    ...     [batches.take()[0] for _ in range(2)]
    [[0], [1]]
    """

    def __init__(self, fetch: Callable[[int], list[Any]], steps: range, *, ahead: int = 2) -> None:
        self._fetch = fetch
        self._steps = iter(steps)
        self._ahead = ahead
        self._waiting: deque[Future[list[Any]]] = deque()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="prefetch")

    def __enter__(self) -> "Prefetch":
        for _ in range(self._ahead):
            self._ask()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

    def take(self) -> tuple[list[Any], float]:
        """Return the next step's batch, and how long it was waited for, seconds."""
        self._ask()
        began = time.perf_counter()
        batch = self._waiting.popleft().result()
        return batch, time.perf_counter() - began

    def _ask(self) -> None:
        step = next(self._steps, None)
        if step is not None:
            self._waiting.append(self._thread.submit(self._fetch, step))
