"""How fast a run is, and how long it waits for data."""

import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """Speed since the last reading."""

    images_per_s: float
    """Samples per second, over all processes."""

    data_wait: float
    """Fraction of the time spent waiting for batches, 0 to 1."""


class Meter:
    """Counts samples and waiting between two readings."""

    def __init__(self) -> None:
        self._begin()

    def add(self, images: int, waited: float) -> None:
        """Count the samples of one step, and how long its batch was waited for, seconds."""
        self._images += images
        self._waited += waited

    def read(self) -> Pace:
        """Return the pace so far, without a new beginning."""
        passed = max(time.perf_counter() - self._began, 1e-9)
        return Pace(images_per_s=self._images / passed, data_wait=min(self._waited / passed, 1.0))

    def restart(self) -> None:
        """Begin anew, after a line of the log was written."""
        self._begin()

    def _begin(self) -> None:
        self._began = time.perf_counter()
        self._images = 0
        self._waited = 0.0
