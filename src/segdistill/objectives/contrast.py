"""Telling which of many images another view of which is."""

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from segdistill.errors import ConfigError, ShapeError
from segdistill.objectives.inputs import widen


def contrastive(
    queries: Float[Tensor, "b d"], keys: Float[Tensor, "n e"], places: Int[Tensor, " b"], *, temperature: float = 0.2
) -> Float[Tensor, " b"]:
    """Cross-entropy of finding a query's own image among the keys of all images, by cosine.

    Args:
        queries: One per image of this micro-batch. Gradients flow here only.
        keys: One per image of the whole step, from another view of it.
        places: Which key is the query's own.
        temperature: Divides the cosines, > 0.

    Returns:
        Nats × twice the temperature, ≥ 0, so that gradients keep their size when the temperature changes.

    Raises:
        ShapeError: Queries and keys have different widths.
        ConfigError: The temperature is not positive, or there is one key: nothing could be told from it.

    Source:
        Chen, Xie, He 2021, arXiv:2104.02057 (MoCo v3), algorithm 1.

    >>> import torch
    >>> contrastive(torch.eye(2), torch.eye(2), torch.tensor([0, 1]), temperature=1.0)  # 2 · ln(1 + e⁻¹)
    tensor([0.6265, 0.6265])
    """
    if queries.shape[1] != keys.shape[1]:
        raise ShapeError(f"Queries are {queries.shape[1]} wide, but keys {keys.shape[1]}. Project both to one width.")
    if not temperature > 0:
        raise ConfigError(f"temperature is {temperature}, but it divides cosines. Choose one above 0.")
    if len(keys) < 2:
        raise ConfigError("An image is told from others, but there is one in a step. Choose a larger batch.")
    one, other = F.normalize(widen(queries), dim=1), F.normalize(widen(keys.detach()), dim=1)
    return 2 * temperature * F.cross_entropy(one @ other.T / temperature, places, reduction="none")
