"""One image and its masks, to be written in whatever form."""

from collections.abc import Mapping
from dataclasses import dataclass

from segdistill.data.image import ImageSource
from segdistill.data.labels import Structure
from segdistill.data.objects import Objects, find_objects
from segdistill.inference.canvas import Mask
from segdistill.inference.target import Target
from segdistill.inference.windows import View


@dataclass(frozen=True, eq=False)
class Segmented:
    """One image and its masks."""

    target: Target
    """Where files go."""

    masks: Mapping[Structure, Mask]
    """On the image's own grid."""

    image: ImageSource
    """Opened."""

    view: View
    """What the network was shown of it."""

    def objects(self, structure: Structure) -> Objects:
        """Return a structure's objects, for outlines."""
        mask = self.masks[structure]
        return find_objects(structure, mask.bands, mask.shape, pixel_size=self.target.pixel_size)
