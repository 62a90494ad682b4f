"""A student's encoder by itself: from an image to its last, coarsest feature grid."""

import copy

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from segdistill.errors import ConfigError, ShapeError
from segdistill.networks.build import build_student
from segdistill.networks.describe import count_parameters


class TokenEncoder(nn.Module):
    """An encoder that takes an image of any size and gives its last feature grid.

    The image is continued below and to the right by repeating its last row and column, up to the
    next multiple of the stride, as in the student that the encoder is part of.

    Args:
        encoder: Gives a list of feature grids, the coarsest last.
        channels: Channels of the image.
        stride: Pixels per cell of the last grid.

    >>> tokens = build_token_encoder("unet-tiny", channels=1)
    >>> tokens.width, tokens(torch.rand(1, 1, 17, 30)).shape
    (32, torch.Size([1, 32, 3, 4]))
    """

    def __init__(self, encoder: nn.Module, *, channels: int, stride: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.channels = channels
        self.stride = stride
        self.width = _last_width(encoder, channels, stride)

    def forward(self, image: Float[Tensor, "b _ y x"]) -> Float[Tensor, "b _ _ _"]:
        """Return the tokens: a cell per started stride of the image.

        Args:
            image: Normalised to 0..1.

        Raises:
            ShapeError: The image has another number of channels, or no pixels.
        """
        height, width = image.shape[2:]
        if image.shape[1] != self.channels or not height or not width:
            raise ShapeError(
                f"This encoder takes images of {self.channels} channels, but got {tuple(image.shape)} (batch, channel,"
                " y, x). Choose the channels it was built for, and leave out images without pixels."
            )
        right, below = -width % self.stride, -height % self.stride
        return self.encoder(F.pad(image, (0, right, 0, below), mode="replicate"))[-1]


def token_encoder(student: nn.Module) -> TokenEncoder:
    """Return a student's encoder, sharing its weights: what one learns the other has.

    Args:
        student: From ``build_student``. Its decoder is left out.

    Raises:
        ConfigError: It is another package's student without an encoder, a stride and channels of its own.
    """
    encoder, channels, stride = (getattr(student, name, None) for name in ("encoder", "channels", "stride"))
    if not isinstance(encoder, nn.Module) or not isinstance(channels, int) or not isinstance(stride, int):
        raise ConfigError(
            f"A {type(student).__name__} has no encoder whose features could be taught."
            " Choose a student of this package, such as unet-mobilenetv3."
        )
    return TokenEncoder(encoder, channels=channels, stride=stride)


def build_token_encoder(student: str, *, channels: int) -> TokenEncoder:
    """Return the encoder of a new student, its weights drawn from torch's generator.

    Args:
        student: One of ``students()``, for example ``unet-repvit_m0_9``; ``unet-`` and a timm encoder.
        channels: Channels of the image, ≥ 1.

    Raises:
        UnknownName: No student has this name.
        ConfigError: It has no encoder, or the number is not positive.
    """
    return token_encoder(build_student(student, channels=channels, outputs=1))


def times_smaller(encoder: nn.Module, parameters: int) -> float:
    """Return how many times fewer weights an encoder has than a teacher.

    Args:
        encoder: The student's, without its decoder; projections are no part of it.
        parameters: Of the teacher's encoder.

    >>> times_smaller(nn.Linear(9, 10), 1000)  # 9 · 10 + 10 weights
    10.0
    """
    return parameters / count_parameters(encoder)


def _last_width(encoder: nn.Module, channels: int, stride: int) -> int:
    """Return the width of the last grid; no pixel is computed."""
    shapes_only = copy.deepcopy(encoder).eval().to("meta")
    with torch.no_grad():
        return shapes_only(torch.empty(1, channels, 2 * stride, 3 * stride, device="meta"))[-1].shape[1]
