"""The files that one image's masks and maps go into, and the grid on which they are."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from segdistill.data.rescale import nearest, resized
from segdistill.data.writers import write_probabilities, write_probabilities_tiled
from segdistill.errors import EnvironmentFault
from segdistill.inference.canvas import Mask
from segdistill.inference.instances import without_small
from segdistill.inference.windows import Part, assembled
from segdistill.networks.card import ModelCard


def structure_file(out: Path, name: str, card: ModelCard, structure: str, suffix: str) -> Path:
    """Return a file of one structure of one image, or of one file of images; see ``Target.of_structure``."""
    folder = out if len(card.structures) == 1 else out / (structure.lstrip(".") or "_")
    return folder / f"{name}{suffix}"


@dataclass(frozen=True)
class Target:
    """Where one image's masks go, and on which grid: the image's own, whatever grid it was segmented on."""

    out: Path
    """Folder for the masks."""

    name: str
    """Of the image, without suffix."""

    card: ModelCard
    """Of the model: says what is segmented."""

    shape: tuple[int, int]
    """Of the image, (y, x), pixels."""

    pixel_size: float | None
    """Micrometres; None where the image does not say."""

    def of_structure(self, structure: str, suffix: str) -> Path:
        """Return a file of one structure; several structures have a folder each.

        The folder cannot lie elsewhere, or be hidden, whatever a model calls its structures.
        """
        return structure_file(self.out, self.name, self.card, structure, suffix)

    def of_image(self, suffix: str) -> Path:
        """Return a file of all structures."""
        return self.out / f"{self.name}{suffix}"

    @property
    def maps(self) -> Path:
        """The file of the probability maps."""
        return self.of_image(".probabilities.ome.tif")

    def on_grid(self, mask: Mask) -> Mask:
        """Return a mask on the image's own grid; what is lost on a coarser one counts as dropped."""
        if mask.shape == self.shape:
            return mask
        labels = nearest(mask.whole()[None], self.shape)[0]
        objects = None
        if mask.objects is not None:  # on a coarser grid an object may have no pixel left
            labels = without_small(labels, 0)
            objects = int(labels.max(initial=0))
        lost = 0 if objects is None or mask.objects is None else mask.objects - objects
        whole = (slice(0, self.shape[0]), slice(0, self.shape[1]))
        return replace(
            mask,
            shape=self.shape,
            objects=objects,
            dropped=mask.dropped + lost,
            pixels=int(np.count_nonzero(labels)),
            bands=[(whole, labels)],
        )

    def write_maps(self, parts: Iterable[Part], shape: tuple[int, int]) -> None:
        """Write the probability maps.

        Args:
            parts: Of the maps, row by row.
            shape: Of the grid on which they are, (y, x), pixels.

        Raises:
            EnvironmentFault: There is no room, or the folder cannot be written.
        """
        names = self.card.outputs
        self._check_room(len(names))
        if shape == self.shape:
            write_probabilities_tiled(self.maps, shape, parts, names, pixel_size=self.pixel_size)
        else:
            maps = resized(assembled(parts, outputs=len(names), shape=shape), self.shape)
            write_probabilities(self.maps, maps, names, pixel_size=self.pixel_size)

    def _check_room(self, outputs: int) -> None:
        """Refuse to begin what cannot end: maps hardly shrink when they are compressed, and wait on the disk too."""
        needed = 4 * self.shape[0] * self.shape[1] * (2 * outputs - 1)
        free = shutil.disk_usage(self.out).free
        if needed > free:
            raise EnvironmentFault(
                f"The probability maps of {self.name} need about {needed:,} bytes in {self.out}, and {free:,} are"
                " free. Make room, choose another --out, or drop --probabilities."
            )
