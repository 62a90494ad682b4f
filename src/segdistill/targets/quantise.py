"""Maps and tokens in few bytes, with the error that it costs."""

from typing import Literal

import numpy as np
from jaxtyping import Float, Float32, Float64, Shaped

MapStorage = Literal["float16", "uint8"]
TokenStorage = Literal["float16", "int8"]


def store_maps(maps: Float[np.ndarray, "k y x"], storage: MapStorage) -> Shaped[np.ndarray, "k y x"]:
    """Return probabilities as they are stored.

    Args:
        maps: Probabilities, 0…1.
        storage: ``uint8`` holds 255 steps (error at most 1/510), ``float16`` 11 significant bits
            (error at most 1/4096).

    >>> store_maps(np.array([[[0.0, 0.5, 1.0]]]), "uint8").tolist()
    [[[0, 128, 255]]]
    """
    return np.rint(maps * 255).astype(np.uint8) if storage == "uint8" else maps.astype(np.float16)


def load_maps(stored: Shaped[np.ndarray, "*shape"]) -> Float32[np.ndarray, "*shape"]:
    """Return probabilities from how they are stored."""
    values = stored.astype(np.float32)
    return values / 255 if stored.dtype == np.uint8 else values


def map_error(maps: Float[np.ndarray, "k y x"], stored: Shaped[np.ndarray, "k y x"]) -> float:
    """Return the largest error that storing made."""
    return float(np.abs(load_maps(stored) - maps).max()) if maps.size else 0.0


def store_tokens(tokens: Float[np.ndarray, "y x d"], storage: TokenStorage) -> dict[str, Shaped[np.ndarray, "..."]]:
    """Return a token grid as it is stored: ``values``, and for int8 the ``scale`` of each token.

    int8 scales each token by its own largest value, which keeps its direction: see ``token_cosine``.
    """
    if storage == "float16":
        return {"values": tokens.astype(np.float16)}
    scale = np.abs(tokens).max(axis=-1, keepdims=True).astype(np.float32) / 127
    values = np.rint(tokens / np.where(scale > 0, scale, 1)).astype(np.int8)
    return {"values": values, "scale": scale}


def load_tokens(stored: dict[str, Shaped[np.ndarray, "..."]]) -> Float32[np.ndarray, "y x d"]:
    """Return a token grid from how it is stored."""
    values = np.asarray(stored["values"]).astype(np.float32)
    if "scale" in stored:
        values *= stored["scale"]
    return values


def token_cosines(
    tokens: Float[np.ndarray, "y x d"], stored: dict[str, Shaped[np.ndarray, "..."]]
) -> Float64[np.ndarray, "y x"]:
    """Return the cosine between each token and what was stored of it; 1 for tokens of zeros."""
    loaded = load_tokens(stored)
    exact = tokens.astype(np.float64)
    product = (exact * loaded).sum(-1)
    lengths = np.linalg.norm(exact, axis=-1) * np.linalg.norm(loaded, axis=-1)
    return np.where(lengths > 0, product / np.where(lengths > 0, lengths, 1), 1.0)


def token_cosine(tokens: Float[np.ndarray, "y x d"], stored: dict[str, Shaped[np.ndarray, "..."]]) -> float:
    """Return the lowest of ``token_cosines``; 1 where there are no tokens."""
    return float(token_cosines(tokens, stored).min(initial=1))
