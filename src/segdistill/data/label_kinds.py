"""Which kind of labels some label files hold, where their numbers alone can tell."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from jaxtyping import Integer

from segdistill.data.labels import Kind, shown_values
from segdistill.errors import ConfigError

MANY = 32
"""More different numbers than this are not classes, nor sums of a few bits."""


@dataclass
class Evidence:
    """What some label images, seen one after another, say of their kind."""

    values: set[int] = field(default_factory=set)
    ids: int = 0  # different numbers, summed over the images
    pieces: int = 0  # connected pieces of one number, summed over the images
    counts: set[int] = field(default_factory=set)  # different numbers per image
    numbered: bool = True  # every image counts its objects 1, 2, 3, ... without a gap

    def add(self, labels: Integer[np.ndarray, "y x"]) -> None:
        """See one more label image."""
        from skimage.measure import label

        ids = np.unique(labels[labels > 0])
        if not len(ids):
            return
        self.values.update(ids.tolist())
        self.ids += len(ids)
        self.pieces += int(cast("np.ndarray", label(labels, connectivity=2, background=0)).max())
        self.counts.add(len(ids))
        self.numbered &= int(ids[-1]) == len(ids)

    def kind(self) -> Kind:
        """Return which kind of labels these are; see ``infer_kind``.

        Raises:
            ConfigError: The numbers could be classes, bits of a mask or a few instances.
        """
        if len(self.values) < 2:
            return "binary"
        if self._instances():
            return "instances"
        raise ConfigError(
            f"Label files hold the values {shown_values(sorted(self.values))}: these could be classes, the bits of"
            " overlapping structures, or a few instances. Say which with --label-kind classes, --label-kind bits or"
            " --label-kind instances."
        )

    def _instances(self) -> bool:
        # Note [Objects or classes]: a class or an overlap of organs lies about in pieces and comes from a
        # short list; an object is one piece, and every image has as many as it has. With few objects
        # only images that each count from 1 without a gap, to different ends, are beyond doubt.
        many = len(self.values) > MANY and self.pieces <= 1.5 * self.ids
        few = self.numbered and len(self.counts) > 1 and max(self.counts) > 5 and self.pieces <= 1.1 * self.ids
        return many or few


def infer_kind(arrays: Iterable[Integer[np.ndarray, "_ _"]]) -> Kind:
    """Return which kind of labels these are.

    Args:
        arrays: Label images of one label set, best of several fields; read one at a time.

    Returns:
        ``binary`` if one number besides 0 occurs (or none does: there is nothing to tell apart),
        ``instances`` if the numbers can be nothing else.

    Raises:
        ConfigError: The numbers could be classes, bits of a mask or a few instances.

    >>> infer_kind([np.array([[0, 255], [0, 0]])])
    'binary'
    >>> infer_kind([np.arange(70).reshape(7, 10)])
    'instances'
    """
    evidence = Evidence()
    for labels in arrays:
        evidence.add(labels)
    return evidence.kind()
