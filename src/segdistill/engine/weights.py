"""The values of a module that training changes: what is averaged, saved and loaded."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from segdistill.errors import ConfigError


def trained_values(module: nn.Module) -> dict[str, Tensor]:
    """Return the module's own tensors that training changes, by name: parameters with a gradient, and buffers.

    Frozen parameters are left out: whoever builds the module again brings them.

    >>> layer = nn.Linear(2, 1)
    >>> _ = layer.weight.requires_grad_(False)
    >>> list(trained_values(layer))
    ['bias']
    """
    frozen = {
        name for name, parameter in module.named_parameters(remove_duplicate=False) if not parameter.requires_grad
    }
    return {name: value for name, value in module.state_dict().items() if name not in frozen}


def load_values(module: nn.Module, values: Mapping[str, Tensor], *, source: str) -> None:
    """Copy values into a module's own tensors.

    Args:
        module: Changed in place.
        values: What ``trained_values`` returned for a module of the same architecture, on any device.
        source: Where the values come from, for the message.

    Raises:
        ConfigError: Names or shapes are not those of this module; nothing has changed.
    """
    own = trained_values(module)
    wrong = list(_mismatches(own, values))
    if wrong:
        raise ConfigError(
            f"{source} holds another network than this one: {'; '.join(wrong[:5])}"
            f"{f'; and {len(wrong) - 5} more' if len(wrong) > 5 else ''}."
            " Build the network that was trained there, or choose another folder."
        )
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(values[name])


def _mismatches(own: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> Iterator[str]:
    for name in sorted({*own, *values}):
        if name not in values:
            yield f"{name} is missing"
        elif name not in own:
            yield f"{name} is not known here"
        elif own[name].shape != values[name].shape:
            yield f"{name} has shape {tuple(values[name].shape)}, here {tuple(own[name].shape)}"
