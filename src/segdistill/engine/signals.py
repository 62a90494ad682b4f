"""Being asked to stop: by Ctrl-C, or by a scheduler that takes the machine back."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class StopSignals:
    """While it is open, SIGTERM and SIGINT are noted instead of obeyed; a second one is obeyed at once.

    One that was ignored before stays so. Outside the main thread Python allows no handlers: there nothing is noted.
    """

    def __init__(self) -> None:
        self.received: str | None = None
        """Name of the signal that came, or None."""
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "StopSignals":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                if signal.getsignal(number) is signal.SIG_IGN:  # nohup, a job in the background: stays ignored
                    continue
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        del frame
        self.received = signal.Signals(number).name
        self._restore()

    def _restore(self) -> None:
        while self._before:
            number, handler = self._before.popitem()
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
