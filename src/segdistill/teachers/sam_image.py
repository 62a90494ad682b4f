"""Between an image's own grid and the square that SAM sees."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Square:
    """How an image lies in the square: scaled so that its longer side fills it, in the top left corner."""

    original: tuple[int, int]
    """Size of the image (y, x), pixels."""

    scaled: tuple[int, int]
    """Its size in the square (y, x), pixels of the square."""

    side: int
    """Side of the square, pixels."""


def place(original: tuple[int, int], side: int) -> Square:
    """Return how an image of this size lies in a square of this side.

    >>> place((600, 1200), 1024).scaled
    (512, 1024)
    """
    scale = side / max(original)
    height, width = (max(int(length * scale + 0.5), 1) for length in original)
    return Square(original, (height, width), side)


def to_square(image: Float[Tensor, "3 y x"], square: Square) -> Float[Tensor, "1 3 side side"]:
    """Return the network's input: scaled, standardised, then padded with zeros to the right and below.

    The same as transformers' ``SamImageProcessor`` on values of 0…1. The original rounds the scaled
    picture to 8 bits; this does not, because microscopes give more.

    Args:
        image: Values 0…1.
        square: From ``place``.
    """
    scaled = F.interpolate(image[None], square.scaled, mode="bilinear", antialias=True, align_corners=False)
    mean = torch.tensor(MEAN, device=image.device).reshape(1, 3, 1, 1)
    deviation = torch.tensor(DEVIATION, device=image.device).reshape(1, 3, 1, 1)
    below, right = (square.side - length for length in square.scaled)
    return F.pad((scaled - mean) / deviation, (0, right, 0, below))


def from_square(scores: Float[Tensor, "n low low"], square: Square) -> Float[Tensor, "n y x"]:
    """Return the decoder's coarse scores on the image's own grid: enlarged, freed of padding, scaled back.

    The same as ``post_process_masks`` of transformers and of the original.
    """
    large = F.interpolate(scores[None].float(), (square.side, square.side), mode="bilinear", align_corners=False)
    height, width = square.scaled
    return F.interpolate(large[..., :height, :width], square.original, mode="bilinear", align_corners=False)[0]


def to_square_xy(points_yx: Float[Tensor, "n 2"], square: Square) -> Float[Tensor, "n 2"]:
    """Return points of the image as SAM's prompt encoder takes them: (x, y) in pixels of the square.

    This is the one place where x comes before y.

    Args:
        points_yx: (y, x) in pixels of the image.
        square: From ``place``.
    """
    (height, width), (scaled_height, scaled_width) = square.original, square.scaled
    factor = torch.tensor([scaled_height / height, scaled_width / width], device=points_yx.device)
    return (points_yx * factor).flip(-1)
