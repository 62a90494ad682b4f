"""What is the same for all frames of a clip that is segmented, and what is measured of them on the way."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from segdistill.data.clip_range import measure_clip_range
from segdistill.data.normalisation import PercentileRule, rule_from_json
from segdistill.data.readers import open_image
from segdistill.engine.progress import time_left
from segdistill.errors import DataError
from segdistill.evaluation.temporal import Steadiness
from segdistill.inference.canvas import Mask
from segdistill.inference.options import Options
from segdistill.inference.predictor import Notice, Run
from segdistill.networks.card import ModelCard

_LOOKED_AT = 5
"""So many frames, from all over a clip, are compared with the training images."""

_SECONDS_BETWEEN_LINES = 10.0

Range = tuple[Float[np.ndarray, " c"], Float[np.ndarray, " c"]]
"""The numbers that become 0 and 1 in each of a model's channels."""


class Clock:
    """How long a network computes, and how long everything together takes."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self.computing = 0.0
        """Seconds."""

    @property
    def since(self) -> float:
        """Seconds since the clock was made."""
        return time.perf_counter() - self._began

    def timed(self, run: Run) -> Run:
        """Return what computes windows, and is timed when it does."""

        def timed(windows: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
            began = time.perf_counter()
            maps = run(windows)
            self.computing += time.perf_counter() - began
            return maps

        return timed


@dataclass(eq=False)
class ClipAccount:
    """One clip, frame by frame."""

    frames: int
    """How many it has."""

    range: Range | None
    """Of all its frames together; None: the model's normalisation does not ask for one."""

    clock: Clock = field(default_factory=Clock)

    lost: dict[str, str] = field(default_factory=dict)
    """Number of a frame that could not be segmented, as in the names of masks, to the reason."""

    _steady: dict[str, Steadiness] = field(init=False, default_factory=dict)

    _told: float = field(init=False, default=0.0)

    def is_looked_at(self, number: int) -> bool:
        """Return whether a frame, counted from 1, is compared with the training images."""
        return number - 1 in np.linspace(0, self.frames - 1, _LOOKED_AT).round().astype(int)

    def add(self, number: int, masks: Mapping[str, Mask]) -> None:
        """Take a frame's masks by structure."""
        for name, mask in masks.items():
            self._steady.setdefault(name, Steadiness()).add(number, mask.whole() > 0)

    def lose(self, number: int, error: DataError) -> None:
        """Take note that a frame, counted from 1, cannot be segmented."""
        self.lost[f"{number:04d}"] = str(error)

    def tell(self, number: int, notice: Notice) -> None:
        """Say now and then how many frames are done, and how long the rest will take."""
        now = self.clock.since
        if now - self._told >= _SECONDS_BETWEEN_LINES:
            self._told = now
            notice(f"frame {number} of {self.frames}, {time_left(now / number * (self.frames - number))} left")

    def facts(self) -> dict[str, Any]:
        """Return what is to be recorded."""
        return {
            "frame_to_frame_dice": {
                name: None if each.mean is None else round(each.mean, 4) for name, each in self._steady.items()
            },
            "lost_frames": dict(self.lost),
        }

    def speed(self) -> str:
        """Return frames per second, in words.

        >>> account = ClipAccount(frames=3, range=None, lost={"0002": "damaged"})
        >>> account.clock.computing = 0.5
        >>> account.speed().startswith("2 frames, 4.0 a second by the network alone, ")
        True
        """
        done = self.frames - len(self.lost)
        alone = f"{done / self.clock.computing:.1f} a second by the network alone, " if self.clock.computing else ""
        return f"{done} frames, {alone}{done / self.clock.since:.1f} with reading and writing"


def open_account(planes: Sequence[Path | Mapping[str, Path]], card: ModelCard, options: Options) -> ClipAccount:
    """Return the account of a clip, after measuring the range of all its frames.

    Raises:
        DataError: No frame can be read.
    """
    rule = rule_from_json(card.normalisation)
    clock = Clock()
    if not isinstance(rule, PercentileRule):
        return ClipAccount(len(planes), None, clock)
    frames = [
        partial(open_image, plane, channels=options.channels, axes=options.axes, fill_missing=options.fill_missing)
        for plane in planes
    ]
    found = measure_clip_range(frames, rule, names=card.channels, ignore_non_finite=options.fill_non_finite)
    return ClipAccount(len(planes), found, clock)


def steadiness_in_words(found: Mapping[str, float | None]) -> str:
    """Return how much masks agree with those of the next frame.

    >>> steadiness_in_words({"airway": 0.9123, "bolus": None})
    'Dice of masks with the next frame: airway 0.912, bolus none'
    """
    each = (f"{name} none" if value is None else f"{name} {value:.3f}" for name, value in found.items())
    return f"Dice of masks with the next frame: {', '.join(each)}"
