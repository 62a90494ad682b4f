"""Applying recorded views to a batch of maps, on whatever device they lie."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from segdistill.augment.views import View
from segdistill.errors import DataError, ShapeError


def apply_views(
    maps: Shaped[Tensor, "b c _ _"], views: Sequence[View], *, nearest: bool
) -> Shaped[Tensor, "b c crop crop"]:
    """Return each sample's window scaled, flipped and turned as its view says.

    Args:
        maps: The windows: images, dense targets, label planes or masks.
        views: One per sample; all of one crop and one side.
        nearest: Take the nearest pixel, for labels and masks: values are copied, of any type, and
            never mixed. Otherwise mix the four nearest linearly, for images and probabilities.

    Note [Axes stay axes]: flips, quarter turns and one scale keep rows rows or make them columns.
    So a map is sampled along y, then along x, by index, and at scale 1 every pixel is a copy: equal
    to ``numpy.flip`` and ``numpy.rot90`` to the bit, with object numbers of any size. A general
    grid sampler works in float coordinates and float values and can promise neither.

    Raises:
        ShapeError: The windows are not of the views' side, or not one per view.
        DataError: Integers or booleans were to be mixed.
    """
    _check(maps, views, nearest=nearest)
    along_y = _nearest if nearest else _linear
    rows, columns = _coordinates(views)
    upright = along_y(along_y(maps, rows).mT, columns).mT
    sideways = torch.tensor([view.turns % 2 == 1 for view in views], device=maps.device)
    return torch.where(sideways[:, None, None, None], upright.mT, upright)


def _check(maps: Tensor, views: Sequence[View], *, nearest: bool) -> None:
    sides, crops = {view.side for view in views}, {view.crop for view in views}
    if len(sides) != 1 or len(crops) != 1:
        raise ShapeError(
            f"A batch needs views of one side and one crop, but it has sides {sorted(sides)} and crops {sorted(crops)}."
            " Draw all views with the same crop and scales."
        )
    (side,) = sides
    if maps.shape[0] != len(views) or maps.shape[2:] != (side, side):
        raise ShapeError(
            f"{len(views)} views of {side} px do not fit maps of shape {tuple(maps.shape)} (batch, channel, y, x)."
            " Cut each sample with `window` and `pad_mirrored`, and give one view per sample."
        )
    if not nearest and not maps.is_floating_point():
        raise DataError(
            f"Maps of {maps.dtype} cannot be mixed linearly. Give nearest=True for labels and masks,"
            " or turn the maps into floating point."
        )


def _coordinates(views: Sequence[View]) -> tuple[Float[np.ndarray, "b crop"], Float[np.ndarray, "b crop"]]:
    """Return the row and the column of the window that each row and column of the upright crop shows.

    Computed on the host in float64, so that all devices take the same pixels.
    """
    crop, side = views[0].crop, views[0].side
    scale = np.array([view.scale for view in views])[:, None]
    # A turned crop is a mirrored one whose axes are exchanged (at one and three turns):
    # numpy.rot90(m)[i, j] = m[j, -1 - i], so the columns of m run backwards.
    rows_back = np.array([view.turns in {2, 3} for view in views])[:, None]
    columns_back = np.array([(view.turns in {1, 2}) != view.flip for view in views])[:, None]
    offset = (np.arange(crop) - (crop - 1) / 2) / scale
    middle = (side - 1) / 2
    return middle + np.where(rows_back, -offset, offset), middle + np.where(columns_back, -offset, offset)


def _nearest(maps: Tensor, places: Float[np.ndarray, "b n"]) -> Tensor:
    return _rows(maps, np.floor(places + 0.5).astype(np.int64))


def _linear(maps: Tensor, places: Float[np.ndarray, "b n"]) -> Tensor:
    below = np.floor(places).astype(np.int64)
    above = np.minimum(below + 1, maps.shape[2] - 1)  # past the end its share is 0
    share = torch.from_numpy(places - below)[:, None, :, None].to(maps)
    return torch.lerp(_rows(maps, below), _rows(maps, above), share)


def _rows(maps: Tensor, index: Int[np.ndarray, "b n"]) -> Tensor:
    """Return the rows that each sample asks for, the same of all its channels."""
    sample = torch.arange(maps.shape[0], device=maps.device)[:, None, None]
    channel = torch.arange(maps.shape[1], device=maps.device)[None, :, None]
    return maps[sample, channel, torch.from_numpy(index).to(maps.device)[:, None]]
