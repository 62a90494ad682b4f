"""From a file's numbers to 0..1: the rule, the range measured by it on a whole image, and its use.

The range is measured once per image and handed to whatever processes its tiles, because a tile
cannot know the percentiles of its image. A picture saved in another type has other numbers and the
same normalised pixels.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import product
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Shaped

from segdistill.data.channels import BLANK, select
from segdistill.data.finite import refuse_non_finite
from segdistill.data.image import Image, ImageSource, Window
from segdistill.errors import ConfigError, DataError

_EXACT = 2**24
"""Images of up to so many pixels are measured whole."""

_BLOCK = 512
"""Side of the blocks in which larger images are read, pixels."""


@dataclass(frozen=True)
class PercentileRule:
    """Each channel's percentiles over the whole image become 0 and 1; what lies outside is clipped."""

    lower: float = 0.1
    """Percentile that becomes 0, from 0 to below ``upper``."""

    upper: float = 99.9
    """Percentile that becomes 1, at most 100."""

    def __post_init__(self) -> None:
        if not 0 <= self.lower < self.upper <= 100:
            raise ConfigError(
                f"The percentiles are {self.lower} and {self.upper}. They must rise and lie from 0 to 100."
            )


@dataclass(frozen=True)
class FullRangeRule:
    """0 becomes 0 and the largest number of the file's type becomes 1; floats must be 0..1 already."""


Rule = PercentileRule | FullRangeRule
RULES: Mapping[str, type[Rule]] = {"percentile": PercentileRule, "full-range": FullRangeRule}
"""Name of each rule in files and settings."""


def rule_to_json(rule: Rule) -> dict[str, Any]:
    """Return a rule as a dictionary for a JSON file.

    >>> rule_to_json(PercentileRule())
    {'rule': 'percentile', 'lower': 0.1, 'upper': 99.9}
    """
    name = next(name for name, kind in RULES.items() if isinstance(rule, kind))
    return {"rule": name, **asdict(rule)}


def rule_from_json(value: Mapping[str, Any]) -> Rule:
    """Return the rule that ``rule_to_json`` wrote.

    Raises:
        ConfigError: It is none that this version knows.

    >>> rule_from_json({"rule": "full-range"})
    FullRangeRule()
    """
    kinds = [kind for name, kind in RULES.items() if name == value.get("rule")]
    rest = {name: number for name, number in value.items() if name != "rule"}
    known = {field.name for kind in kinds for field in fields(kind)}
    if not kinds or set(rest) - known or not all(isinstance(number, int | float) for number in rest.values()):
        raise ConfigError(f"{dict(value)!r} is no normalisation rule. Known: {', '.join(RULES)}.")
    return kinds[0](**{name: float(number) for name, number in rest.items()})


def measure_range(
    source: ImageSource | Image, rule: Rule, *, names: Sequence[str], ignore_non_finite: bool = False
) -> tuple[Float32[np.ndarray, " c"], Float32[np.ndarray, " c"]]:
    """Return the numbers that become 0 and 1 in each wanted channel.

    Args:
        source: The whole image. An opened file is read in blocks and may be of any size.
        rule: Which numbers those are.
        names: Names of the wanted channels, in order; ``luma`` and ``blank`` among them.
        ignore_non_finite: Whether NaN and infinite pixels count as the channel's lowest finite number, which they
            become where they are filled, instead of being refused.

    Returns:
        Low and high. They are equal only in a constant channel. Percentiles are exact in images of up
        to 16 megapixels (2**24) and those of a fixed grid of blocks in larger ones. Where both
        percentiles are the same number, because nearly all pixels are, low and high are the lowest
        and highest number instead, so that a few bright objects do not vanish.

    Raises:
        DataError: A pixel is not finite, or the rule is ``FullRangeRule`` and a float lies outside 0..1.

    >>> image = Image(np.arange(101, dtype=np.uint16).reshape(1, 1, 101), ("DAPI",), None, "a ramp")
    >>> measure_range(image, PercentileRule(1.0, 99.0), names=["DAPI"])
    (array([1.], dtype=float32), array([99.], dtype=float32))
    """
    channels, *size = source.array.shape if isinstance(source, Image) else source.shape
    whole = size[0] * size[1] <= _EXACT
    windows = _strips(channels, *size) if whole else _grid(*size)
    sample = np.concatenate([block.reshape(len(names), -1) for block in _blocks(source, names, windows)], axis=1)
    if not ignore_non_finite:
        refuse_non_finite(sample[:, None], names, source=source.source)
    if isinstance(rule, FullRangeRule):
        return _full_range(sample, names, source.source)
    lowest = [None] * len(names)
    if not whole and not np.isfinite(sample).all():
        lowest = _extremes(_blocks(source, names, _every_block(*size)))[:, 0].tolist()
    ranges = np.array([percentiles_of(*each, rule) for each in zip(sample, lowest, strict=True)])
    flat = (ranges[:, 0] == ranges[:, 1]) & [name != BLANK for name in names]
    if flat.any() and not whole:
        ranges[flat] = _extremes(_blocks(source, names, _every_block(*size)))[flat]
    return in_single_precision(ranges, names, source.source)


def normalise(
    array: Shaped[np.ndarray, "c y x"], low: Float32[np.ndarray, " c"], high: Float32[np.ndarray, " c"]
) -> Float32[np.ndarray, "c y x"]:
    """Return the pixels with ``low`` as 0, ``high`` as 1 and everything outside clipped.

    Args:
        array: Any window of the image; its pixels are finite (see ``segdistill.data.finite``).
        low: What becomes 0 in each channel.
        high: What becomes 1. A channel whose high is not above its low becomes 0 throughout.

    >>> ramp = np.array([[[10, 20, 30, 40]]], dtype=np.uint8)
    >>> normalise(ramp, np.float32([10]), np.float32([30]))
    array([[[0. , 0.5, 1. , 1. ]]], dtype=float32)
    """
    exact = np.result_type(array.dtype, np.float32)  # 32-bit integers do not fit a 32-bit float
    low, high = (bound.astype(exact)[:, None, None] for bound in (low, high))
    flat = high <= low
    scaled = (array.astype(exact) - low) / np.where(flat, 1, high - low)
    return np.where(flat, 0, np.clip(scaled, 0, 1)).astype(np.float32)


def _blocks(
    source: ImageSource | Image, names: Sequence[str], windows: Iterable[Window]
) -> Iterator[Shaped[np.ndarray, "c y x"]]:
    for window in windows:
        pixels = source.array[:, *window] if isinstance(source, Image) else source.read(window)
        yield select(pixels, source.channels, names, source=source.source)


def _strips(channels: int, height: int, width: int) -> list[Window]:
    """Return the whole image, in strips where its channels are many: most of them may not be wanted."""
    rows = max(1, 4 * _EXACT // (channels * width))
    return [(slice(y, min(y + rows, height)), slice(0, width)) for y in range(0, height, rows)]


def _grid(height: int, width: int) -> list[Window]:
    """Return blocks that lie evenly over the image and together have as many pixels as are measured."""
    down, across = -(-height // _BLOCK), -(-width // _BLOCK)
    wanted = _EXACT // _BLOCK**2
    rows = min(down, wanted, max(1, round((wanted * down / across) ** 0.5)))
    columns = min(across, max(1, wanted // rows))
    tops = (np.linspace(0, down - 1, rows).round().astype(int) * _BLOCK).tolist()
    lefts = (np.linspace(0, across - 1, columns).round().astype(int) * _BLOCK).tolist()
    return [_window(y, x, height, width, _BLOCK) for y, x in product(tops, lefts)]


def _every_block(height: int, width: int) -> Iterator[Window]:
    side = 4 * _BLOCK
    return (_window(y, x, height, width, side) for y, x in product(range(0, height, side), range(0, width, side)))


def _window(y: int, x: int, height: int, width: int, side: int) -> Window:
    return slice(y, min(y + side, height)), slice(x, min(x + side, width))


def percentiles_of(pixels: Shaped[np.ndarray, " n"], lowest: float | None, rule: PercentileRule) -> tuple[float, float]:
    """Return two percentiles, or the extremes where the two are one number; 0 and 0 where no pixel is finite.

    Args:
        pixels: Of one channel.
        lowest: What pixels count as that are not finite. None: the lowest of the others.
        rule: Which percentiles.
    """
    if pixels.dtype.kind == "f":
        pixels, finite = pixels.astype(np.float64), np.isfinite(pixels)
        if not finite.any():
            return 0.0, 0.0
        if not finite.all():
            pixels = np.where(finite, pixels, pixels[finite].min() if lowest is None else lowest)
    low, high = np.percentile(pixels.view(np.uint8) if pixels.dtype == bool else pixels, (rule.lower, rule.upper))
    return (low, high) if low < high else (float(pixels.min()), float(pixels.max()))


def _extremes(blocks: Iterable[Shaped[np.ndarray, "c _ _"]]) -> Float[np.ndarray, "c 2"]:
    """Return the lowest and highest finite number of each channel over all blocks, or 0 and 0."""
    lowest, highest = np.array(np.inf), np.array(-np.inf)
    for block in blocks:
        finite = [channel[np.isfinite(channel)] for channel in block]
        lowest = np.minimum(lowest, [float(pixels.min()) if pixels.size else np.inf for pixels in finite])
        highest = np.maximum(highest, [float(pixels.max()) if pixels.size else -np.inf for pixels in finite])
    return np.where(lowest <= highest, np.stack([lowest, highest]), 0).T


def _full_range(
    sample: Shaped[np.ndarray, "c n"], names: Sequence[str], source: str
) -> tuple[Float32[np.ndarray, " c"], Float32[np.ndarray, " c"]]:
    highest = np.iinfo(sample.dtype).max if sample.dtype.kind in "iu" else 1
    finite = sample[np.isfinite(sample)]
    if sample.dtype.kind == "f" and finite.size and (finite.min() < 0 or finite.max() > 1):
        raise DataError(
            f"{source} holds {sample.dtype} numbers from {finite.min():g} to {finite.max():g}, but the full-range rule"
            " takes floats to be 0 to 1. Use the percentile rule, or save the image with numbers from 0 to 1."
        )
    return np.zeros(len(names), np.float32), np.full(len(names), highest, np.float32)


def in_single_precision(
    ranges: Float[np.ndarray, "c 2"], names: Sequence[str], source: str
) -> tuple[Float32[np.ndarray, " c"], Float32[np.ndarray, " c"]]:
    """Return low and high as they are kept.

    Args:
        ranges: Low and high of each channel.
        names: Of the channels.
        source: For messages.

    Raises:
        DataError: The two differ, and would not any more.
    """
    low, high = ranges.astype(np.float32).T
    for name, exact, lost in zip(names, ranges, low == high, strict=True):
        if lost and exact[0] < exact[1]:
            raise DataError(
                f"{source} has numbers from {exact[0]:.17g} to {exact[1]:.17g} in channel {name}: too large for"
                " so small a difference in 32 bits. Subtract an offset and save the image again."
            )
    return low, high
