"""Masks as a diffusion model is told them."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int32

from segdistill.augment import label_maps
from segdistill.data.labels import Structure


def told_maps(
    planes: Int32[np.ndarray, "k y x"], known: Bool[np.ndarray, " k"], structures: Sequence[Structure]
) -> Float32[np.ndarray, "o y x"]:
    """Return masks as the network is told them, with the inner boundary of what is told apart; 0 where nobody labelled.

    >>> told_maps(np.array([[[0, 1]], [[0, 0]]], np.int32), np.array([True, False]),
    ...           [Structure("lesion", False), Structure("vessel", False)]).tolist()
    [[[-1.0, 1.0]], [[0.0, 0.0]]]
    """
    if not structures:
        return np.zeros((0, *planes.shape[1:]), np.float32)
    maps = label_maps(torch.from_numpy(planes)[None], [each.instances for each in structures])[0].numpy()
    of_output = [place for place, each in enumerate(structures) for _ in range(1 + each.instances)]
    return np.where(known[of_output][:, None, None], 2 * maps - 1, 0).astype(np.float32)
