"""When what moves in a swallow."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Moment:
    """How far everything is at one time; 0 at rest, 1 at its furthest."""

    lift: float
    """Hyoid and larynx up and forward, the epiglottis down over the airway."""
    seal: float
    """The soft palate up, against the back of the throat."""
    push: float
    """The tongue back and up."""
    squeeze: float
    """The pharynx narrow."""
    chew: float
    """The jaw open."""
    travelled: float | None
    """Of its path that the bolus's head has behind it; None: the bolus has left."""
    length: float
    """Of the bolus, heights of the frame."""
    sway: tuple[float, float, float]
    """By which the whole head lies off: y, x in heights of the frame, and radians."""


@dataclass(frozen=True, eq=False)
class Swallow:
    """One swallow of one clip."""

    begin: float
    """Of the swallow, seconds into the clip."""
    pace: float
    """Speed over the model's."""
    length: float
    """Of the bolus, heights of the frame."""
    sway: tuple[tuple[float, float, float], ...]
    """For y, x and the angle: how far, how often per second, from which phase."""

    def at(self, time: float) -> Moment:
        """Return how far everything is.

        Args:
            time: Seconds into the clip.
        """
        since = self.pace * (time - self.begin)
        travelled = 0.10 + 0.02 * np.sin(2.0 * time) if since < 0 else 0.10 + 0.02 * np.sin(2.0 * self.begin) + since
        swayed = [far * float(np.sin(2 * np.pi * often * time + phase)) for far, often, phase in self.sway]
        return Moment(
            lift=_pulse(since, 0.15, 0.40, 0.70, 1.10),
            seal=_pulse(since, 0.00, 0.20, 0.65, 0.90),
            push=_pulse(since, -0.05, 0.25, 0.45, 0.80),
            squeeze=_pulse(since, 0.45, 0.65, 0.75, 1.05),
            chew=_pulse(since, -1.2, -0.9, -0.7, -0.4),
            travelled=None if travelled > 1 else float(travelled),
            length=self.length,
            sway=(swayed[0], swayed[1], swayed[2]),
        )


def draw_swallow(generator: np.random.Generator, seconds: float, variation: float) -> Swallow:
    """Return a swallow that begins in the first third of a clip.

    Args:
        generator: Where the random numbers come from.
        seconds: Length of the clip.
        variation: 0 returns the model itself, without any sway.
    """
    spread = generator.uniform(-1, 1, 3) * variation
    far = np.array([0.006, 0.008, 0.025]) * variation
    often, phase = generator.uniform(0.1, 0.4, 3), generator.uniform(0, 2 * np.pi, 3)
    return Swallow(
        begin=seconds * (0.2 + 0.1 * float(spread[0])),
        pace=float(np.exp(0.2 * spread[1])),
        length=0.16 * float(np.exp(0.3 * spread[2])),
        sway=tuple(zip(far.tolist(), often.tolist(), phase.tolist(), strict=True)),
    )


def _pulse(time: float, begins: float, there: float, leaves: float, back: float) -> float:
    """Return 0 before ``begins`` and after ``back``, 1 between ``there`` and ``leaves``, and a smooth way between."""
    up = np.clip((time - begins) / (there - begins), 0, 1)
    down = np.clip((back - time) / (back - leaves), 0, 1)
    share = float(min(up, down))
    return share * share * (3 - 2 * share)
