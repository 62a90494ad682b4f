"""``blurred:SIGMA``: the labels themselves, blurred: a control that is soft as a teacher is, and knows nothing more.

If a student of blurred labels gains what a student of the teacher gains, then what helped was that
targets were soft, as with label smoothing, and not what the teacher knew.
"""

import hashlib
import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy import ndimage

from segdistill.augment.label_maps import label_maps
from segdistill.data.labels import Structure, output_names
from segdistill.data.normalisation import FullRangeRule
from segdistill.errors import ConfigError, DataError
from segdistill.teachers.contract import NO_HINT, Contract, Hint, Teacher
from segdistill.teachers.request import Request, refuse_sam_only


@dataclass(frozen=True, eq=False)
class BlurredTeacher:
    """Labels, blurred by a Gaussian."""

    contract: Contract
    structures: tuple[Structure, ...]
    sigma: float
    """Standard deviation of the Gaussian, pixels."""

    def maps(self, image: Float[np.ndarray, "c y x"], hint: Hint = NO_HINT) -> Float[np.ndarray, "k y x"]:  # noqa: ARG002
        """Return the blurred maps of the labels in the hint; see ``Teacher``. Beyond the edge they go on as at it.

        Raises:
            DataError: A structure is not labelled in this image.
        """
        missing = [each.name for each in self.structures if each.name not in hint.labels]
        if missing:
            raise DataError(f"There is no label of {', '.join(missing)} to blur. Such an image has no target.")
        planes = np.stack([hint.labels[each.name] for each in self.structures]).astype(np.int32)
        sharp = label_maps(torch.from_numpy(planes)[None], [each.instances for each in self.structures])[0].numpy()
        return np.stack([ndimage.gaussian_filter(plane, self.sigma, mode="nearest") for plane in sharp]).clip(0, 1)


def build_blurred(request: Request) -> Teacher:
    """Return the teacher ``blurred:SIGMA``; sigma in pixels, above 0.

    Raises:
        ConfigError: Sigma is no such number.
    """
    refuse_sam_only(request, why="it is made of the labels")
    word = request.name.partition(":")[2]
    try:
        sigma = float(word)
    except ValueError:
        sigma = math.nan
    if not 0 < sigma < math.inf:
        raise ConfigError(
            f"Teacher {request.name!r}: {word!r} is no width of a blur. Give the Gaussian's standard deviation in"
            " pixels, above 0, for example blurred:2."
        )
    contract = Contract(
        name=request.name,
        channels=(),
        rule=FullRangeRule(),
        outputs=output_names(request.structures),
        weights_sha256=hashlib.sha256(f"blurred labels, sigma {sigma!r}".encode()).hexdigest(),
        licence="yours",
        needs=("labels",),
        labels_seen=0,
        note="Control: the image's own labels, blurred; it teaches that targets are soft, and nothing else.",
    )
    return BlurredTeacher(contract, request.structures, sigma)
