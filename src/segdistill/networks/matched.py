"""A student beside the linear maps that bring its hidden layers to a teacher's widths; what is kept is the student."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from segdistill.errors import ConfigError
from segdistill.networks.projection import resample_grid
from segdistill.networks.tokens import TokenEncoder


class MatchedEncoder(nn.Module):
    """An encoder whose last grid is brought to a teacher's width by one linear map.

    Args:
        tokens: The student's encoder.
        width: Of the teacher's tokens.
    """

    def __init__(self, tokens: TokenEncoder, width: int) -> None:
        super().__init__()
        self.tokens = tokens
        self.project = nn.Conv2d(tokens.width, width, kernel_size=1)

    def forward(self, image: Float[Tensor, "b c y x"], shape: tuple[int, int]) -> Float[Tensor, "b _ _ _"]:
        """Return the projected tokens on a grid of so many cells (y, x)."""
        return self.project(resample_grid(self.tokens(image), shape))


class MatchedStudent(nn.Module):
    """A student whose hidden layers are brought to a teacher's widths, each by its own linear map.

    Args:
        student: From ``build_student``. Its hidden layers are the last grids of its encoder: of `vit-tiny` its
            blocks 3, 6, 9 and 12; of a U-Net its last, coarsest levels.
        widths: Of the teacher's layers, shallowest first. The last is paired with the student's last.

    Raises:
        ConfigError: The student has fewer hidden layers, or no encoder.
    """

    def __init__(self, student: nn.Module, widths: Sequence[int]) -> None:
        super().__init__()
        self.student = student
        found = _hidden_widths(student)
        if len(found) < len(widths):
            raise ConfigError(
                f"The student has {len(found)} hidden layers, but {len(widths)} of the teacher's are to be matched."
                " Name fewer layers, or choose vit-tiny."
            )
        pairs = zip(found[len(found) - len(widths) :], widths, strict=True)
        self.project = nn.ModuleList(nn.Conv2d(own, wanted, kernel_size=1) for own, wanted in pairs)

    def forward(
        self, image: Float[Tensor, "b c y x"], shape: tuple[int, int]
    ) -> tuple[Float[Tensor, "b o y x"], list[Float[Tensor, "b _ _ _"]]]:
        """Return the student's scores, and its projected layers on a grid of so many cells (y, x)."""
        scores, grids = _with_hidden(self.student, image)
        last = grids[len(grids) - len(self.project) :]
        return scores, [project(resample_grid(grid, shape)) for project, grid in zip(self.project, last, strict=True)]


def _with_hidden(student: nn.Module, image: Tensor) -> tuple[Tensor, list[Tensor]]:
    encoder = getattr(student, "encoder", None)
    if not isinstance(encoder, nn.Module):
        raise ConfigError(
            f"A {type(student).__name__} has no encoder whose layers could be taught. Choose a student of this package."
        )
    caught: list[list[Tensor]] = []

    def catch(_module: nn.Module, _inputs: tuple[Tensor, ...], grids: list[Tensor]) -> None:
        caught.append(list(grids))

    hook = encoder.register_forward_hook(catch)
    try:
        scores = student(image)
    finally:
        hook.remove()
    return scores, caught[0]


def _hidden_widths(student: nn.Module) -> list[int]:
    """Return the widths of the encoder's grids that have any channel, finest first; the image itself is none."""
    device, training = next(student.parameters()).device, student.training
    image = torch.zeros(1, student.channels, 64, 96, device=device)  # pyright: ignore[reportArgumentType, reportCallIssue]
    with torch.no_grad():
        _, grids = _with_hidden(student.eval(), image)
    student.train(training)
    return [grid.shape[1] for grid in grids]
