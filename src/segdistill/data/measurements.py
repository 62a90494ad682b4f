"""Measuring the objects of a label image of any size, by sums over its parts.

Note [Sums of parts]: of each part of an image are kept, per object, the count, the mean and the sum of squared
differences from *that part's* mean. Parts are joined with the rule for the variance of a union (Chan, Golub, LeVeque
1983, "Algorithms for computing the sample variance", The American Statistician 37:242), which subtracts no two large
numbers from each other; so the result is that of the whole object within rounding, however it was cut.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64, Integer, Shaped

from segdistill.data.image import Window
from segdistill.errors import ShapeError


@dataclass(frozen=True, eq=False)
class Measurements:
    """What was measured, one row per object, by rising number.

    Positions are pixels from the upper left corner of the image, so that the centre of its first pixel is
    at (0.5, 0.5); outlines count alike.
    """

    label: Int64[np.ndarray, " n"]
    """Numbers of the objects."""

    area: Int64[np.ndarray, " n"]
    """Pixels."""

    centre: Float64[np.ndarray, "n 2"]
    """Mean position of its pixels' centres, (y, x)."""

    box: Int64[np.ndarray, "n 4"]
    """First row, first column, and the row and column after the last."""

    spread: Float64[np.ndarray, "n 3"]
    """Variance of the pixels' y and x, and their covariance, square pixels."""

    mean: Float64[np.ndarray, "n c"]
    """Mean intensity, by channel, in the units of the file."""

    low: Float64[np.ndarray, "n c"]
    """Lowest intensity."""

    high: Float64[np.ndarray, "n c"]
    """Highest intensity."""

    deviation: Float64[np.ndarray, "n c"]
    """Standard deviation of the intensity over the object's pixels (divided by their number)."""

    @property
    def eccentricity(self) -> Float64[np.ndarray, " n"]:
        """Of the ellipse with the same variances: 0 for a circle, near 1 for a line."""
        y, x, both = self.spread.T
        half, root = (y + x) / 2, np.hypot((y - x) / 2, both)
        return np.sqrt(2 * root / np.maximum(half + root, np.finfo(np.float64).tiny))

    @property
    def equivalent_diameter(self) -> Float64[np.ndarray, " n"]:
        """Of the circle with the same area, pixels."""
        return np.sqrt(4 * self.area / np.pi)


class Measurer:
    """Takes a label image in parts, in any order, each pixel once, and measures its objects.

    Args:
        channels: How many channels of intensities come with every part.

    >>> measurer = Measurer(channels=1)
    >>> measurer.add((slice(0, 1), slice(0, 3)), np.array([[2, 2, 0]]), np.array([[[10, 20, 99]]]))
    >>> measurer.add((slice(1, 2), slice(0, 3)), np.array([[2, 0, 0]]), np.array([[[60, 99, 99]]]))
    >>> found = measurer.finish()
    >>> found.label.tolist(), found.area.tolist(), found.box.tolist(), found.mean.tolist(), found.high.tolist()
    ([2], [3], [[0, 0, 2, 2]], [[30.0]], [[60.0]])
    """

    def __init__(self, *, channels: int = 0) -> None:
        self._channels = channels
        self._parts: list[_Part] = []

    def add(
        self,
        window: Window,
        labels: Integer[np.ndarray, "y x"],
        image: Shaped[np.ndarray, "c y x"] | None = None,
    ) -> None:
        """Take a part.

        Args:
            window: Where it lies.
            labels: Numbers of its pixels; 0 is background.
            image: Intensities, by channel; None where there are no channels.

        Raises:
            ShapeError: There are not as many channels as were announced.
        """
        found = 0 if image is None else len(image)
        if found != self._channels:
            raise ShapeError(f"{self._channels} channels were to be measured, but {found} were given.")
        if labels.any():
            self._parts.append(_measure(window, labels, [] if image is None else list(image)))

    def finish(self) -> Measurements:
        """Return what was measured of every object that occurs."""
        if not self._parts:
            return _nothing(self._channels)
        whole = _joined(self._parts)
        centre, intensity = whole.mean[:, :2], whole.mean[:, 2:]
        share = whole.squares / whole.area[:, None]
        return Measurements(
            label=whole.label,
            area=whole.area,
            centre=centre,
            box=whole.box,
            spread=share[:, :3],
            mean=intensity,
            low=whole.low,
            high=whole.high,
            deviation=np.sqrt(share[:, 3:]),
        )


def _nothing(channels: int) -> Measurements:
    """Return the measurements of no objects."""
    none, whole = np.zeros((0, channels)), np.zeros(0, np.int64)
    return Measurements(whole, whole, np.zeros((0, 2)), np.zeros((0, 4), np.int64), np.zeros((0, 3)), *[none] * 4)


@dataclass(frozen=True, eq=False)
class _Part:
    """Of the objects in one part of an image: see note [Sums of parts]."""

    label: Int64[np.ndarray, " n"]
    area: Int64[np.ndarray, " n"]
    box: Int64[np.ndarray, "n 4"]
    mean: Float64[np.ndarray, "n m"]
    """Of y, x and the intensities."""
    squares: Float64[np.ndarray, "n q"]
    """Sums of squared differences of y and of x, of their products, and of squared differences of the intensities."""
    low: Float64[np.ndarray, "n c"]
    high: Float64[np.ndarray, "n c"]


@dataclass(frozen=True, eq=False)
class _Runs:
    """Neighbours in a row that have one number, background included: together they are all of a part."""

    start: Int64[np.ndarray, " n"]
    """Place of the first pixel in the part, counted row by row."""

    length: Int64[np.ndarray, " n"]

    kept: Int64[np.ndarray, " m"]
    """Which runs are not background."""

    owner: Int64[np.ndarray, " m"]
    """Of these runs: which of the part's objects they belong to."""

    count: int
    """How many objects there are."""

    def total(self, values: Float64[np.ndarray, " m"]) -> Float64[np.ndarray, " k"]:
        """Return the sum over each object's runs."""
        return np.bincount(self.owner, weights=values, minlength=self.count)

    def extreme(self, values: Shaped[np.ndarray, " m"], which: np.ufunc) -> Shaped[np.ndarray, " k"]:
        """Return the smallest or largest value among each object's runs."""
        found = np.empty(self.count, values.dtype)
        found[self.owner] = values  # any of them, to begin with
        which.at(found, self.owner, values)
        return found


def _measure(
    window: Window, labels: Integer[np.ndarray, "y x"], channels: Sequence[Shaped[np.ndarray, "y x"]]
) -> _Part:
    runs, numbers = _runs_of(labels)
    width = labels.shape[1]
    start, length = runs.start[runs.kept], runs.length[runs.kept].astype(np.float64)
    y, x = start // width + window[0].start, start % width + window[1].start
    after = x + runs.length[runs.kept]
    area = runs.total(length)
    mean_y, mean_x = runs.total(length * y) / area, runs.total(length * (x + after) / 2) / area
    to_y, to_x = y - mean_y[runs.owner], (x + after) / 2 - mean_x[runs.owner]
    means = [mean_y + 0.5, mean_x]
    squares = [
        runs.total(length * to_y**2),
        runs.total(length * to_x**2 + length * (length**2 - 1) / 12),  # of a run around its own middle: n (n² - 1) / 12
        runs.total(length * to_y * to_x),
    ]
    box = [
        runs.extreme(y, np.minimum),
        runs.extreme(x, np.minimum),
        runs.extreme(y, np.maximum) + 1,
        runs.extreme(after, np.maximum),
    ]
    lows, highs = [], []
    for channel in channels:
        mean, square, low, high = _intensities(channel, runs, area)
        means.append(mean)
        squares.append(square)
        lows.append(low)
        highs.append(high)
    none = np.zeros((len(numbers), 0))
    return _Part(
        label=numbers,
        area=area.astype(np.int64),
        box=np.stack(box, axis=1),
        mean=np.stack(means, axis=1),
        squares=np.stack(squares, axis=1),
        low=np.stack(lows, axis=1) if lows else none,
        high=np.stack(highs, axis=1) if highs else none,
    )


def _runs_of(labels: Integer[np.ndarray, "y x"]) -> tuple[_Runs, Int64[np.ndarray, " k"]]:
    """Return the runs of a part and the numbers of its objects."""
    begins = np.ones(labels.shape, bool)
    begins[:, 1:] = labels[:, 1:] != labels[:, :-1]
    start = np.flatnonzero(begins)
    length = np.diff(start, append=labels.size)
    number = labels.reshape(-1)[start]
    kept = np.flatnonzero(number)
    numbers, owner = np.unique(number[kept], return_inverse=True)
    return _Runs(start, length, kept, owner, len(numbers)), numbers.astype(np.int64)


def _intensities(
    channel: Shaped[np.ndarray, "y x"], runs: _Runs, area: Float64[np.ndarray, " k"]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return mean, sum of squared differences from it, lowest and highest intensity of each object."""
    values = channel.reshape(-1).astype(np.float64)

    def over_runs(each: Float64[np.ndarray, " p"], which: np.ufunc) -> Float64[np.ndarray, " m"]:
        return which.reduceat(each, runs.start)[runs.kept]

    with np.errstate(invalid="ignore"):  # what is not a number makes its object's sums not a number, and says so
        mean = runs.total(over_runs(values, np.add)) / area
        of_run = np.zeros(len(runs.start))
        of_run[runs.kept] = mean[runs.owner]
        low = runs.extreme(over_runs(values, np.minimum), np.minimum)
        high = runs.extreme(over_runs(values, np.maximum), np.maximum)
        values -= np.repeat(of_run, runs.length)
        return mean, runs.total(over_runs(np.square(values, out=values), np.add)), low, high


def _joined(parts: Sequence[_Part]) -> _Part:
    """Return the parts' objects, each once."""
    label, area, box, mean, squares, low, high = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("label", "area", "box", "mean", "squares", "low", "high")
    )
    numbers, first, owner = np.unique(label, return_index=True, return_inverse=True)

    def total(values: np.ndarray) -> np.ndarray:
        return np.bincount(owner, weights=values, minlength=len(numbers))

    def extreme(values: np.ndarray, which: np.ufunc) -> np.ndarray:
        found = values[first]
        which.at(found, owner, values)
        return found

    whole = total(area)
    with np.errstate(invalid="ignore"):
        means = np.stack([total(area * each) / whole for each in mean.T], axis=1)
        away = mean - means[owner]
        between = [away[:, 0] ** 2, away[:, 1] ** 2, away[:, 0] * away[:, 1], *(away[:, 2:] ** 2).T]
        joined = [total(each + area * part) for each, part in zip(squares.T, between, strict=True)]
    return _Part(
        label=numbers,
        area=whole.astype(np.int64),
        box=np.concatenate([extreme(box[:, :2], np.minimum), extreme(box[:, 2:], np.maximum)], axis=1),
        mean=means,
        squares=np.stack(joined, axis=1),
        low=extreme(low, np.minimum),
        high=extreme(high, np.maximum),
    )
