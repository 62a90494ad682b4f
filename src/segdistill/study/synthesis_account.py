"""How well drawn images stand for real ones, in numbers: by features, and by whom they lie near."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median, stdev

import numpy as np
from jaxtyping import Float

from segdistill.data.channels import BLANK
from segdistill.data.image import Image
from segdistill.data.sample import Sample
from segdistill.errors import ConfigError
from segdistill.evaluation.frechet import frechet_distance, leading_axes
from segdistill.settings.synthesize import Synthesize
from segdistill.study.synthesis_data import Real, Reals, central_window
from segdistill.study.synthesis_files import Verdict
from segdistill.study.synthesis_judging import drawn_sample, unlabelled_sample
from segdistill.synthesis.card import SynthesisCard
from segdistill.synthesis.numbers import in_numbers
from segdistill.targets.look import field_of, tokens_of
from segdistill.teachers.features_alone import FeaturesAlone, chosen_grids, features_alone
from segdistill.teachers.load import load_teacher

LEAST = 6
"""Images that are held back, below which no distance is told."""

MOST_AXES = 16
DRAWS = 40
"""Random parts of a set that are as large as what is held back."""

MOST_DRAWN = 400
"""Drawn images whose features are asked for."""

Notice = Callable[[str], None]


@dataclass(frozen=True)
class Distance:
    """Between what is held back and as many other images, over many draws of the latter."""

    mean: float
    deviation: float
    """Over the draws; they overlap, so it is no error of the mean."""


@dataclass(frozen=True)
class FeatureDistance:
    """Fréchet distances on an encoder's features, of real images that the model never saw."""

    features: str
    """Whose features, in words."""

    axes: int
    """Directions of their greatest variation among the real images in which they are compared."""

    images: int
    """On each side."""

    drawn: Distance
    """To as many drawn images that are kept."""

    real: Distance
    """To as many of the real images that the model was fitted on: what a perfect model would come to."""


@dataclass(frozen=True)
class Nearness:
    """Whether drawn images lie nearer to what the model was fitted on than chance would have it."""

    nearer_to_fitted: float
    """Share of all drawn images whose nearest real image is one that the model was fitted on."""

    by_chance: float
    """That share if it made no difference: the share of the real images that it was fitted on."""


def encoder_of(settings: Synthesize, reals: Reals, *, device: str) -> FeaturesAlone | None:
    """Return the encoder on whose features images are compared; None: too little is held back to compare with.

    Raises:
        SegdistillError: It cannot be had, or gives no features.
    """
    if len(reals.held_back) < LEAST:
        return None
    channels = settings.feature_channels or _three(reals.channels)
    strange = [name for name in channels if name not in {*reals.channels, BLANK}]
    if strange:
        raise ConfigError(
            f"feature_channels names {', '.join(strange)}, but what is drawn has {', '.join(reals.channels)}. Choose"
            f" among these and {BLANK}."
        )
    teacher = load_teacher(settings.features, channels=channels, weights=settings.feature_weights, device=device)
    return features_alone(teacher)


def feature_distance(
    settings: Synthesize, card: SynthesisCard, reals: Reals, encoder: FeaturesAlone, verdicts: Sequence[Verdict]
) -> FeatureDistance | None:
    """Return how far drawn images lie from real ones that the model never saw; None: too few are kept.

    Args:
        settings: Where they are.
        card: Of the model.
        reals: Its training images.
        encoder: Tells the features.
        verdicts: Which images are kept.
    """
    kept = [verdict.number for verdict in verdicts if verdict.reason is None]
    count = len(reals.held_back)
    if min(len(kept), len(reals.fitted)) < count:
        return None
    draw = np.random.default_rng(settings.seed)
    chosen = sorted(draw.permutation(kept)[:MOST_DRAWN].tolist())
    grid = chosen_grids(encoder.contract, ())
    drawn = _pooled(encoder, grid, (drawn_sample(settings, card, number) for number in chosen))
    apart, fitted = (
        _pooled(encoder, grid, (_as_drawn(real, card) for real in part)) for part in (reals.held_back, reals.fitted)
    )
    axes = leading_axes(np.concatenate([apart, fitted]), min(MOST_AXES, count // 2))
    apart, fitted, drawn = (each @ axes for each in (apart, fitted, drawn))
    words = f"{grid[0]} of {settings.features}, the mean over each image"
    return FeatureDistance(
        words, axes.shape[1], count, _over_draws(apart, drawn, draw), _over_draws(apart, fitted, draw)
    )


def nearness(verdicts: Sequence[Verdict], reals: Reals) -> Nearness | None:
    """Return whether drawn images lie nearer to what the model was fitted on; None: nothing is held back."""
    pairs = [(each.nearest.distance, each.held_back) for each in verdicts if each.held_back is not None]
    if not pairs:
        return None
    fitted, apart = len(reals.fitted), len(reals.held_back)
    nearer = fmean(fitted_distance < other for fitted_distance, other in pairs)
    return Nearness(nearer, fitted / (fitted + apart))


def sentences(
    verdicts: Sequence[Verdict], bound: float, distance: FeatureDistance | None, near: Nearness | None
) -> Iterator[str]:
    """Yield what a reader must know of drawn images, a sentence each."""
    kept = sum(verdict.reason is None for verdict in verdicts)
    copies = sum(verdict.nearest.distance < bound for verdict in verdicts)
    yield (
        f"{kept} of {len(verdicts)} drawn images are kept; {copies} are set aside as copies of training images and"
        f" {len(verdicts) - kept - copies} for the teacher's doubt."
    )
    distances = [verdict.nearest.distance for verdict in verdicts]
    counts = f"nearer than {bound:.3f} counts as a copy" if bound else "how near a copy comes is not known"
    yield (
        f"To the nearest training image: {median(distances):.3f} in the median, {min(distances):.3f} at least;"
        f" {counts}."
    )
    if distance is not None:
        yield (
            f"Fréchet distance to {distance.images} real images that the model never saw: {distance.drawn.mean:.4g} of"
            f" drawn images, {distance.real.mean:.4g} of as many other real ones ({distance.features}; {distance.axes}"
            f" directions)."
        )
    if near is not None:
        yield (
            f"The nearest real image is one that the model was fitted on for {100 * near.nearer_to_fitted:.0f} % of the"
            f" drawn ones; {100 * near.by_chance:.0f} % by chance."
        )


def _three(channels: Sequence[str]) -> tuple[str, ...]:
    """Return what an encoder of colour pictures is shown of channels."""
    if len(channels) == 1:
        return tuple(channels) * 3
    return (BLANK, *channels) if len(channels) == 2 else tuple(channels[:3])


def _as_drawn(real: Real, card: SynthesisCard) -> Sample:
    """Return the middle of a real image in the form of a drawn one."""
    array = in_numbers(central_window(real, card.side), replace(real.numbers, inverted=False))
    return unlabelled_sample(real.entry.name, Image(array, card.channels, card.pixel_size, real.entry.name))


def _pooled(encoder: FeaturesAlone, grid: tuple[str, ...], samples: Iterator[Sample]) -> Float[np.ndarray, "n d"]:
    rows = [tokens_of(encoder, field_of(encoder, sample, ()).pixels, grid)[grid[0]] for sample in samples]
    return np.stack([tokens.mean(axis=(0, 1), dtype=np.float64) for tokens in rows])


def _over_draws(
    apart: Float[np.ndarray, "n d"], others: Float[np.ndarray, "m d"], draw: np.random.Generator
) -> Distance:
    found = [
        frechet_distance(apart, others[draw.permutation(len(others))[: len(apart)]])
        for _ in range(DRAWS if len(others) > len(apart) else 1)
    ]
    return Distance(fmean(found), stdev(found) if len(found) > 1 else 0.0)
