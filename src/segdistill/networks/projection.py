"""What stands between a student's tokens and each teacher's while it learns, and is dropped afterwards."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from segdistill.errors import ConfigError
from segdistill.networks.grid import interpolation_weights


class Projection(nn.Module):
    """A perceptron on each token by itself: linear, layer norm, GELU, linear.

    Args:
        width: Of the student's tokens.
        wanted: Of the teacher's tokens.
        hidden: Of the layer between. None takes the teacher's width.

    Source:
        arXiv:2504.02351, one perceptron per teacher; its form is ours, after Ranzinger et al. 2024,
        arXiv:2312.06709.

    >>> Projection(16, 48)(torch.rand(2, 16, 3, 5)).shape
    torch.Size([2, 48, 3, 5])
    """

    def __init__(self, width: int, wanted: int, hidden: int | None = None) -> None:
        super().__init__()
        middle = wanted if hidden is None else hidden
        self.layers = nn.Sequential(
            nn.Linear(width, middle), nn.LayerNorm(middle), nn.GELU(), nn.Linear(middle, wanted)
        )

    def forward(self, tokens: Float[Tensor, "b _ y x"]) -> Float[Tensor, "b _ y x"]:
        """Return the tokens as the teacher would have them."""
        return self.layers(tokens.movedim(1, -1)).movedim(-1, 1)


class WithProjections(nn.Module):
    """A student's encoder and one projection per teacher; what is kept after training is the encoder.

    Args:
        encoder: Gives the student's tokens, ``b d y x``.
        width: Of these tokens.
        teachers: Name to the width of its tokens. Names may be of any form.

    Raises:
        ConfigError: There is no teacher.
    """

    def __init__(self, encoder: nn.Module, width: int, teachers: Mapping[str, int]) -> None:
        super().__init__()
        if not teachers:
            raise ConfigError("A student that learns features needs a teacher, but none is named. Name one or more.")
        self.encoder = encoder
        self.teachers = tuple(teachers)
        self.projections = nn.ModuleList(Projection(width, wanted) for wanted in teachers.values())

    def forward(self, image: Float[Tensor, "b _ y x"]) -> dict[str, Float[Tensor, "b _ _ _"]]:
        """Return for each teacher the student's tokens in its width, on the student's grid."""
        tokens = self.encoder(image)
        return {name: project(tokens) for name, project in zip(self.teachers, self.projections, strict=True)}


class MaskedGenerator(nn.Module):
    """Restores a teacher's tokens from the student's, most of which are hidden: two convolutions.

    Hidden tokens make the student's others say more of their surroundings. Compare what this gives
    with the teacher's tokens by ``token_mse``.

    Args:
        width: Of the student's tokens.
        wanted: Of the teacher's tokens.
        hidden: Part of the tokens that is hidden while training, 0 to 1. In evaluation none is.

    Source:
        Yang et al. 2022 (MGD), arXiv:2205.01529, section 3.1.
    """

    def __init__(self, width: int, wanted: int, hidden: float = 0.75) -> None:
        super().__init__()
        if not 0 <= hidden < 1:
            raise ConfigError(f"The part of the tokens that is hidden is {hidden}. Choose one from 0 to below 1.")
        self.hidden = hidden
        self.align = nn.Conv2d(width, wanted, 1)
        self.restore = nn.Sequential(
            nn.Conv2d(wanted, wanted, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(wanted, wanted, 3, padding=1)
        )

    def forward(
        self, tokens: Float[Tensor, "b _ y x"], draws: Float[Tensor, "b 1 y x"] | None = None
    ) -> Float[Tensor, "b _ y x"]:
        """Return the teacher's tokens as they are restored.

        Args:
            tokens: The student's.
            draws: Uniform from 0 to 1; while training a token is hidden where its draw is below the part
                that is hidden. None draws from torch's generator.
        """
        aligned = self.align(tokens)
        if self.training:
            aligned = aligned * ((torch.rand_like(aligned[:, :1]) if draws is None else draws) >= self.hidden)
        return self.restore(aligned)


def resample_grid(tokens: Float[Tensor, "b d y x"], shape: tuple[int, int]) -> Float[Tensor, "b d _ _"]:
    """Return a token grid on another grid of the same image, linearly along both axes.

    Args:
        tokens: Features of any width.
        shape: Wanted cells (y, x), ≥ 1; see ``interpolation_weights``.

    Raises:
        ShapeError: A side is below 1.

    >>> row = torch.tensor([0.0, 0.0, 0.0, 7.0]).reshape(1, 1, 1, 4)
    >>> resample_grid(row, (1, 2)).flatten().round().tolist()
    [0.0, 3.0]
    """
    if tuple(tokens.shape[2:]) == tuple(shape):
        return tokens
    rows, columns = (
        torch.from_numpy(interpolation_weights(old, new)).to(tokens)
        for old, new in zip(tokens.shape[2:], shape, strict=True)
    )
    return rows @ tokens @ columns.T
