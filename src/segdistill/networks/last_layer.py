"""The last convolution of a student, which makes scores of features, and those features."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from segdistill.errors import ConfigError


def last_convolution(network: nn.Module) -> tuple[str, nn.Conv2d] | None:
    """Return the name and the module of a network's last convolution, in the order of its modules; None: it has none.

    >>> last_convolution(nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(4, 2, 1)))
    ('1', Conv2d(4, 2, kernel_size=(1, 1), stride=(1, 1)))
    """
    found = [(name, module) for name, module in network.named_modules() if isinstance(module, nn.Conv2d)]
    return found[-1] if found else None


def scores_and_features(
    network: nn.Module, image: Float[Tensor, "b c y x"]
) -> tuple[Float[Tensor, "b _ y x"], Float[Tensor, "b _ y x"]]:
    """Return a student's scores and the features that its last convolution makes them of.

    Args:
        network: From ``build_student``, or built of it.
        image: As the network takes it.

    Raises:
        ConfigError: It has no convolution, or its features are coarser than its scores.
    """
    found = last_convolution(network)
    if found is None:
        raise ConfigError(f"{_LACK} Choose a U-Net for arms that compare features.")
    seen: list[Tensor] = []
    handle = found[1].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    try:
        scores = network(image)
    finally:
        handle.remove()
    height, width = scores.shape[2:]
    if not seen or seen[-1].shape[2] < height or seen[-1].shape[3] < width:
        raise ConfigError(f"{_LACK} Choose a U-Net for arms that compare features.")
    return scores, seen[-1][..., :height, :width]  # beyond the image lies what it was padded with, as in AnySize


_LACK = "The student's scores do not come from features of the image's own size by a last convolution."


class WithFeatures(nn.Module):
    """A student that in training returns, after its scores, the features that these are made of.

    In evaluation it returns its scores alone.

    Args:
        network: The student. Its weights are shared.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    @property
    def stride(self) -> object:
        """The network's."""
        return getattr(self.network, "stride", None)

    def forward(self, image: Float[Tensor, "b _ y x"]) -> Float[Tensor, "b _ y x"]:
        """Return scores, and in training features behind them.

        Raises:
            ConfigError: The network has no features of the image's size.
        """
        if not self.training:
            return self.network(image)
        return torch.cat(scores_and_features(self.network, image), dim=1)
