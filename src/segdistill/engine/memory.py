"""Going on with smaller micro-batches when memory runs out."""

from collections.abc import Callable
from typing import TypeVar

import torch

from segdistill.errors import TrainingStopped

T = TypeVar("T")

_SIGNS = ("out of memory", "defaultcpuallocator: can't allocate memory", "not enough memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error says that memory ran out, on a GPU or on the host.

    >>> is_out_of_memory(RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 8 bytes"))
    True
    >>> is_out_of_memory(RuntimeError("shapes do not match"))
    False
    """
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in _SIGNS)


class Memory:
    """How many samples go through the network at once: what was asked for, or what turned out to fit.

    Args:
        size: Samples at once, to begin with.
        notice: Told of every reduction.
    """

    def __init__(self, size: int, *, notice: Callable[[str], None]) -> None:
        self.size = size
        """Samples at once, now."""
        self._notice = notice

    def attempt(self, work: Callable[[int], T]) -> T:
        """Return ``work(size)``, tried again with half the size as often as memory runs out.

        Args:
            work: Given a number of samples at once; must be able to begin anew.

        Raises:
            TrainingStopped: Memory ran out with one sample at once.
        """
        while True:
            try:
                return work(self.size)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                self._halve(error)
            # Only here, after the error and the tensors that its traceback held are gone, is there memory to free.
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def _halve(self, error: RuntimeError | MemoryError) -> None:
        if self.size == 1:
            raise TrainingStopped(
                "Memory ran out with one sample at a time, so there is nothing left to halve. Choose smaller crops,"
                " a smaller network or a device with more memory, close other programs, and run the command again."
                f" (It said: {str(error).splitlines()[0] if str(error) else type(error).__name__})"
            ) from error
        self._notice(
            f"Memory ran out with {self.size} samples at a time; going on with {self.size // 2}."
            " The loss is that of the whole batch, as before."
        )
        self.size //= 2
