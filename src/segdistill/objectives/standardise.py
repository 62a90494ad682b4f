"""Bringing the tokens of unlike teachers to one scale before they are matched; arrays only, no torch.

A teacher whose features are ten times larger has a hundred times the squared error, and within a
teacher a few channels often outweigh all others. All of these are linear and can be undone, so they
may be applied before or after resampling a grid.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import safetensors
import safetensors.numpy
from jaxtyping import Float, Float64, Shaped
from safetensors import SafetensorError

from segdistill.errors import DataError, ShapeError, UnknownName
from segdistill.files import whole_file
from segdistill.objectives.moments import Moments
from segdistill.objectives.rotation import levelling_rotation

_FLAT = 1e-9
"""A deviation below this share of the mean or of the largest deviation is rounding, not variation."""

_SHOWN = 8


@dataclass(frozen=True, eq=False)
class Standardisation:
    """A linear map of tokens: subtract the mean, rotate, divide."""

    name: str
    """In ``STANDARDISATIONS``."""

    mean: Float64[np.ndarray, " d"]
    """Subtracted first, unit of the features."""

    rotation: Float64[np.ndarray, "d d"] | None
    """Orthogonal; its rows are the new channels. None: the channels stay."""

    scale: Float64[np.ndarray, " d"]
    """Divides the new channels, unit of the features, > 0."""

    def __call__(self, tokens: Shaped[np.ndarray, "*grid d"]) -> Float[np.ndarray, "*grid d"]:
        """Return standardised tokens, in float32 or, of float64, in float64.

        Args:
            tokens: Features, the channels last.

        Raises:
            ShapeError: They have another width.
        """
        centred = self._checked(tokens) - self.mean
        turned = centred if self.rotation is None else centred @ self.rotation.T
        return (turned / self.scale).astype(_precision(tokens))

    def inverse(self, tokens: Shaped[np.ndarray, "*grid d"]) -> Float[np.ndarray, "*grid d"]:
        """Return the features of standardised tokens: what a student's projection says in the teacher's own terms.

        Args:
            tokens: Standardised, the channels last.

        Raises:
            ShapeError: They have another width.
        """
        scaled = self._checked(tokens) * self.scale
        turned = scaled if self.rotation is None else scaled @ self.rotation
        return (turned + self.mean).astype(_precision(tokens))

    def _checked(self, tokens: Shaped[np.ndarray, "*grid d"]) -> Float64[np.ndarray, "*grid d"]:
        if tokens.shape[-1:] != self.mean.shape:
            raise ShapeError(
                f"Tokens of shape {tokens.shape} do not end in the {len(self.mean)} channels of this standardisation."
                " Give the tokens of the teacher whose statistics it was made of."
            )
        return tokens.astype(np.float64)


def as_they_are(moments: Moments) -> Standardisation:
    """Return the standardisation that changes nothing: the control.

    Args:
        moments: Of the teacher's tokens; only their width is used.
    """
    width = len(moments.mean)
    return Standardisation("none", np.zeros(width), None, np.ones(width))


def by_channel(moments: Moments) -> Standardisation:
    """Return the standardisation after which each channel has mean 0 and variance 1.

    Channels that say the same keep doing so, and rare ones are blown up with their noise.

    Args:
        moments: Of the teacher's tokens.

    Raises:
        DataError: There are fewer than two tokens, or a channel does not vary; such channels are named.
    """
    _check_counted(moments)
    deviation = np.sqrt(np.diag(moments.covariance).clip(min=0))
    flat = np.flatnonzero(deviation <= _FLAT * np.maximum(np.abs(moments.mean), deviation.max(initial=0)))
    if len(flat):
        more = f" and {len(flat) - _SHOWN} more" if len(flat) > _SHOWN else ""
        raise DataError(
            f"{len(flat)} of {len(deviation)} channels are the same in all {moments.count:,} tokens"
            f" ({', '.join(map(str, flat[:_SHOWN]))}{more}), so they cannot be divided by their deviation."
            " Use phi-s, which needs no channel to vary by itself."
        )
    return Standardisation("channel", moments.mean, None, deviation)


def phi_s(moments: Moments) -> Standardisation:
    """Return PHI-S: a rotation after which all channels have equal variance, and one number that makes it 1.

    e′ = H·Uᵀ·(e − μ) / √mean(λ), with Σ = U·diag(λ)·Uᵀ. Being a rotation and one factor, it changes no
    ratio of distances, and is undone exactly; directions in which nothing varies do no harm.

    Args:
        moments: Of the teacher's tokens.

    Raises:
        DataError: There are fewer than two tokens, or all are the same.

    Source:
        Ranzinger et al. 2024, arXiv:2410.01680, section 3. H is a Hadamard matrix where one is known
        and otherwise, which is ours, the rotation of Schur and Horn: see ``levelling_rotation``.

    >>> from segdistill.objectives.moments import moments_of
    >>> tokens = np.random.default_rng(0).normal(size=(50, 3)) * [1.0, 10.0, 100.0]
    >>> np.diag(moments_of(phi_s(moments_of(tokens))(tokens)).covariance).round(9).tolist()
    [1.0, 1.0, 1.0]
    """
    _check_counted(moments)
    values, vectors = np.linalg.eigh(moments.covariance)
    scale = np.sqrt(max(values.mean(), 0.0))
    if scale <= _FLAT * np.abs(moments.mean).max(initial=0) or scale == 0:
        raise DataError(
            f"All {moments.count:,} tokens are the same, so there is nothing to standardise and nothing to learn."
            " Check the teacher's channels and its images."
        )
    # Eigenvectors have no sign of their own: without one, another machine would make other targets.
    signs = np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(len(values))])
    rotation = levelling_rotation(values) @ (vectors * signs).T
    return Standardisation("phi-s", moments.mean, rotation, np.full(len(values), scale))


STANDARDISATIONS: Mapping[str, Callable[[Moments], Standardisation]] = MappingProxyType(
    {"none": as_they_are, "channel": by_channel, "phi-s": phi_s}
)
"""The ways to standardise a teacher's tokens, by name."""


def standardisation(name: str, moments: Moments) -> Standardisation:
    """Return the standardisation with this name for a teacher's tokens.

    Args:
        name: In ``STANDARDISATIONS``.
        moments: Of the tokens of training images; those of test images have no say.

    Raises:
        UnknownName: There is none of this name.
        DataError: The tokens do not vary as it needs; see each.
    """
    if name not in STANDARDISATIONS:
        raise UnknownName("standardisation", name, STANDARDISATIONS)
    return STANDARDISATIONS[name](moments)


def save_standardisation(path: Path, standard: Standardisation) -> None:
    """Write a standardisation as a safetensors file, whole or not at all.

    A run keeps the one that it began with: eigenvectors of equal variances are not unique, so
    another machine could make other targets of the same statistics.

    Raises:
        EnvironmentFault: The file cannot be written.
    """
    arrays = {"mean": standard.mean, "scale": standard.scale}
    if standard.rotation is not None:
        arrays["rotation"] = np.ascontiguousarray(standard.rotation)
    with whole_file(path) as partial:
        partial.write_bytes(safetensors.numpy.save(arrays, metadata={"name": standard.name}))


def load_standardisation(path: Path) -> Standardisation:
    """Return the standardisation that ``save_standardisation`` wrote.

    Raises:
        DataError: The file is absent, damaged, or holds something else.
    """
    try:
        with safetensors.safe_open(path, framework="np") as file:
            name = (file.metadata() or {})["name"]
            arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - it is no mapping
        return Standardisation(name, arrays["mean"], arrays.get("rotation"), arrays["scale"])
    except (OSError, SafetensorError, KeyError) as error:
        raise DataError(f"{path} holds no standardisation of tokens: {error!r}. Make it again.") from error


def _check_counted(moments: Moments) -> None:
    if moments.count < 2:
        raise DataError(
            f"There are statistics of {moments.count} tokens, but a variance needs two."
            " Fill the store of targets first."
        )


def _precision(tokens: Shaped[np.ndarray, "..."]) -> np.dtype:
    return np.dtype(np.float64 if tokens.dtype == np.float64 else np.float32)
