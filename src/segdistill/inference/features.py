"""What a PyTorch network makes of an image, to tell images that are unlike those it was trained on."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Float64
from torch import nn

from segdistill.inference.familiarity import Appearance, appearance
from segdistill.inference.windows import View


def appearance_of(network: nn.Module, view: View, *, device: str | torch.device) -> Appearance:
    """Return how an image appears to a network.

    Args:
        network: In evaluation mode, on the device.
        view: The image as the network sees it, of any size: a few blocks of it are read.
        device: Where the network is.
    """
    return appearance(view, lambda block: features_of(network, block, device=device))


@torch.inference_mode()
def features_of(
    network: nn.Module, block: Float32[np.ndarray, "c y x"], *, device: str | torch.device
) -> Float64[np.ndarray, " d"] | None:
    """Return the encoder's coarsest features, their mean over a block, brought to length 1.

    None: the network has no encoder, or one that gives no grids.
    """
    encoder = getattr(network, "encoder", None)
    if not isinstance(encoder, nn.Module):
        return None
    caught: list[Any] = []
    hook = encoder.register_forward_hook(lambda _, __, output: caught.append(output))
    try:
        network(torch.from_numpy(np.ascontiguousarray(block))[None].to(device))
    finally:
        hook.remove()
    coarsest = caught[0][-1] if isinstance(caught[0], list | tuple) else caught[0]
    if not isinstance(coarsest, torch.Tensor) or coarsest.ndim != 4:
        return None
    mean = coarsest[0].float().flatten(1).mean(dim=1).double().cpu().numpy()
    return mean / max(float(np.linalg.norm(mean)), 1e-9)
