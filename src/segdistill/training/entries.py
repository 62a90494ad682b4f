"""What training keeps of a field: the student's view of it, its labels, and what the teacher said."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Bool, Float, Int32, Shaped

from segdistill.data.channels import select
from segdistill.data.normalisation import Rule, measure_range, normalise
from segdistill.data.sample import Sample


@dataclass(frozen=True, eq=False)
class Entry:
    """One field of a training or validation set."""

    name: str
    """Of the case."""

    image: Float[np.ndarray, "c y x"]
    """The student's channels, 0…1 by the student's own rule."""

    planes: Int32[np.ndarray, "k y x"]
    """Labels, one plane per structure; 0 where it is not known."""

    known: Bool[np.ndarray, " k"]
    """Whether the structure is labelled here, and the arm may use it."""

    counts: Bool[np.ndarray, "y x"]
    """False where a pixel counts for nothing."""

    target: Mapping[str, Shaped[np.ndarray, "y x"]] = field(default_factory=dict)
    """Output name to the teacher's probability; empty where there is no teacher or it failed."""

    stains: Float[np.ndarray, "s y x"] | None = None
    """Channels that the student is to predict, 0…1; None where it predicts none."""

    similarity: Shaped[np.ndarray, "m y x"] | None = None
    """The teacher's similarity to the prototype of each of its outputs and of the rest, −1…1; None: not asked for."""

    @property
    def labelled(self) -> bool:
        """Whether any structure is labelled."""
        return bool(self.known.any())


def make_entry(sample: Sample, *, channels: Sequence[str], rule: Rule) -> Entry:
    """Return the student's view of a field, with its labels.

    Args:
        sample: The field with every channel it has.
        channels: The student's channels, by name; nothing else of the image is kept.
        rule: The student's own normalisation.

    Raises:
        DataError: A channel is missing; those found are named.
    """
    chosen = select(sample.image.array, sample.image.channels, channels, source=sample.image.source)
    low, high = measure_range(sample.image, rule, names=channels)
    return Entry(sample.name, normalise(chosen, low, high), sample.planes, sample.known, sample.counts)


def with_stains(entry: Entry, sample: Sample, *, channels: Sequence[str], rule: Rule) -> Entry:
    """Return the field with channels that the student is to predict.

    Raises:
        DataError: A channel is missing; those found are named.
    """
    return replace(entry, stains=make_entry(sample, channels=channels, rule=rule).image)


def unlabelled(entry: Entry) -> Entry:
    """Return the field as if nobody had labelled it."""
    return replace(entry, planes=np.zeros_like(entry.planes), known=np.zeros_like(entry.known))


def taught(
    entry: Entry,
    target: Mapping[str, np.ndarray],
    *,
    similarity: Shaped[np.ndarray, "m y x"] | None = None,
) -> Entry:
    """Return the field with what a teacher said of it.

    Args:
        entry: The field.
        target: Output name to the teacher's probability.
        similarity: The teacher's, from ``teacher_similarity``. None: its features are not compared.
    """
    return replace(entry, target=target, similarity=similarity)
