"""Squeeze-excite layers that look around each place, as far as a training crop reached, and not at all that is shown.

Note [What a tile is]: a squeeze-excite layer scales its channels by their means over the whole map.
In training that is a crop; in use it would be whatever tile a pixel happens to lie in, so moving the
tiles would change the masks. A mean over a window of the crop's side around each place depends on
the place alone, and is as wide as what the layer learnt from.

Source: Hu et al. 2018, arXiv:1709.01507 (squeeze-excite); Lee, Park 2020, arXiv:1911.06667 (its effective form).
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from segdistill.errors import ConfigError


class LocalSqueeze(nn.Module):
    """A squeeze-excite layer with a sliding window; its weights keep their names.

    Args:
        squeeze: One of timm's. Its children are the layers that its means go through, in order, and last the gate.
        window: Height and width of the window, cells of its map, odd. Beyond the map's edges nothing is counted.
    """

    def __init__(self, squeeze: nn.Module, window: tuple[int, int]) -> None:
        super().__init__()
        self.window = window
        for name, child in squeeze.named_children():
            self.add_module(name, child)

    def forward(self, x: Float[Tensor, "b c y x"]) -> Float[Tensor, "b c y x"]:
        """Return the map, every channel scaled at every place."""
        *layers, gate = self.children()
        context = local_mean(x, self.window)
        for layer in layers:
            context = layer(context)
        return x * gate(context)


def local_mean(x: Float[Tensor, "b c y x"], window: tuple[int, int]) -> Float[Tensor, "b c y x"]:
    """Return the mean of a window around every place, of so much of it as there is.

    Args:
        x: A map.
        window: Height and width, cells, odd.

    >>> local_mean(torch.tensor([[[[0.0, 3.0, 6.0]]]]), (1, 3)).tolist()
    [[[[1.5, 3.0, 4.5]]]]
    """
    height, width = window
    rows = F.avg_pool2d(x, (height, 1), stride=1, padding=(height // 2, 0), count_include_pad=False)
    return F.avg_pool2d(rows, (1, width), stride=1, padding=(0, width // 2), count_include_pad=False)


def pools_over_all(network: nn.Module) -> bool:
    """Return whether a network has squeeze-excite layers that can be made to look around each place."""
    return bool(_squeezes(network))


@torch.inference_mode()
def pool_locally(network: nn.Module, *, crop: int, channels: int) -> nn.Module:
    """Make a network's squeeze-excite layers look as far as a training crop reached, for use and not for training.

    Args:
        network: Changed in place. Its weights stay as they are and keep their names.
        crop: Side of the crops that it was trained on, pixels.
        channels: Number of its input channels.

    Returns:
        The network.

    Raises:
        ConfigError: It has no such layer, or has a form of it that this cannot change.
    """
    squeezes = _squeezes(network)
    if not squeezes:
        raise ConfigError("This network has no squeeze-excite layer: there is nothing that could pool locally.")
    sides = _sides(network, squeezes, crop=crop, channels=channels)
    for name, squeeze in squeezes.items():
        parent, _, own = name.rpartition(".")
        setattr(network.get_submodule(parent), own, LocalSqueeze(squeeze, sides[name]))
    return network


def _squeezes(network: nn.Module) -> dict[str, nn.Module]:
    from timm.layers.squeeze_excite import EffectiveSEModule, SEModule
    from timm.models._efficientnet_blocks import SqueezeExcite

    kinds = SqueezeExcite, SEModule, EffectiveSEModule
    found: dict[str, nn.Module] = {name: each for name, each in network.named_modules() if isinstance(each, kinds)}
    return {} if any(getattr(module, "add_maxpool", False) for module in found.values()) else found


def _sides(
    network: nn.Module, squeezes: dict[str, nn.Module], *, crop: int, channels: int
) -> dict[str, tuple[int, int]]:
    """Return how large a layer's map of a crop is, made odd."""
    found: dict[str, tuple[int, int]] = {}

    def look(name: str) -> object:
        def hook(_: nn.Module, given: tuple[Tensor, ...]) -> None:
            height, width = given[0].shape[2:]
            found[name] = height // 2 * 2 + 1, width // 2 * 2 + 1

        return squeezes[name].register_forward_pre_hook(hook)

    handles = [look(name) for name in squeezes]
    was_training = network.training
    network.eval()(torch.zeros(1, channels, crop, crop))
    network.train(was_training)
    for handle in handles:
        handle.remove()  # pyright: ignore[reportAttributeAccessIssue]
    return found
