"""A student that also predicts channels while it trains; in use the prediction is gone."""

from jaxtyping import Float
from torch import Tensor, nn

from segdistill.errors import ConfigError
from segdistill.networks.last_layer import last_convolution


class WithStains(nn.Module):
    """A student whose last convolution gives some maps more than are used: predicted channels.

    In training it returns all of them, in evaluation the student's own alone.

    Args:
        network: A student that was built with ``outputs`` and the predicted channels after them.
        outputs: The student's own score maps.
    """

    def __init__(self, network: nn.Module, outputs: int) -> None:
        super().__init__()
        self.network = network
        self.outputs = outputs

    @property
    def stride(self) -> object:
        """The network's."""
        return getattr(self.network, "stride", None)

    def forward(self, image: Float[Tensor, "b _ y x"]) -> Float[Tensor, "b _ y x"]:
        """Return scores: all in training, the student's own in evaluation."""
        scores = self.network(image)
        return scores if self.training else scores[:, : self.outputs]

    def own(self) -> nn.Module:
        """Return the network cut down to the student's own outputs; its other weights are shared.

        Raises:
            ConfigError: Its scores do not come from a last convolution.
        """
        cut_outputs(self.network, self.outputs)
        return self.network


def cut_outputs(network: nn.Module, outputs: int) -> None:
    """Replace a network's last convolution by one that gives its first outputs only.

    Args:
        network: Changed in place.
        outputs: How many stay, fewer than there are.

    Raises:
        ConfigError: It has no convolution, or one with as few outputs.

    >>> network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(4, 3, 1))
    >>> cut_outputs(network, 2)
    >>> network[1].weight.shape
    torch.Size([2, 4, 1, 1])
    """
    found = last_convolution(network)
    if found is None or found[1].out_channels <= outputs or found[1].groups != 1:
        raise ConfigError(
            f"The student's last layer is no convolution of more than {outputs} outputs, so what it predicts beside"
            " them cannot be cut off. Choose a U-Net for arms that predict channels."
        )
    place, last = found
    parent = network.get_submodule(place.rpartition(".")[0])
    setattr(parent, place.rpartition(".")[2], _first(last, outputs))


def _first(convolution: nn.Conv2d, outputs: int) -> nn.Conv2d:
    small = nn.Conv2d(
        convolution.in_channels,
        outputs,
        kernel_size=convolution.kernel_size,  # pyright: ignore[reportArgumentType]  (a pair, as given)
        stride=convolution.stride,  # pyright: ignore[reportArgumentType]
        padding=convolution.padding,  # pyright: ignore[reportArgumentType]
        bias=convolution.bias is not None,
        padding_mode=convolution.padding_mode,  # pyright: ignore[reportArgumentType]
    ).to(convolution.weight)
    small.weight.data.copy_(convolution.weight.data[:outputs])
    if small.bias is not None and convolution.bias is not None:
        small.bias.data.copy_(convolution.bias.data[:outputs])
    return small
