"""What the page of drawn images is handed."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ShownImage:
    """One image on a sheet."""

    name: str
    """Of its file, or of the case."""

    uri: str
    """Its picture, as ``contact_picture`` makes it."""


@dataclass(frozen=True, kw_only=True)
class ShownPair:
    """A drawn image beside the real one that is most like it."""

    drawn: ShownImage
    real: ShownImage
    distance: float
    """Between them, 0 of a copy."""

    reason: str | None
    """Why the drawn one is set aside; None: it is kept."""


@dataclass(frozen=True, kw_only=True)
class SynthesisContent:
    """Everything that a run which draws images found out."""

    title: str
    """What the images stand for."""

    made: str
    """When, and by which version."""

    facts: tuple[tuple[str, str], ...]
    """What, and what it is."""

    sentences: tuple[str, ...]
    """What a reader must know, most important first."""

    measures: tuple[tuple[str, float, float, int], ...]
    """Fréchet distances: between what, mean, deviation over draws, images on a side. Empty: not measured."""

    measured_on: str
    """Features and directions of these, or why there are none."""

    real: tuple[ShownImage, ...]
    """Training images as the model is shown them."""

    drawn: tuple[ShownImage, ...]
    """Drawn ones that are kept."""

    nearest: tuple[ShownPair, ...]
    """Pairs, the nearest first."""

    doubted: tuple[ShownImage, ...]
    """Drawn images that are set aside for the teacher's doubt."""

    dropped: tuple[tuple[str, str, float], ...]
    """File, reason and distance to the nearest training image of what is set aside."""
