"""What a network should say, made from label planes."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from segdistill.errors import ShapeError


def label_maps(planes: Int[Tensor, "b k y x"], instances: Sequence[bool]) -> Float[Tensor, "b o y x"]:
    """Return the wanted output maps, 0 or 1, in the order of ``segdistill.data.output_names``.

    Args:
        planes: One plane per structure: object numbers, or 0 and 1. Of a structure that is not
            labelled the maps mean nothing; the caller gives them no weight.
        instances: For each structure whether its objects are told apart; then its foreground is
            followed by its inner boundary.

    Raises:
        ShapeError: There are not as many planes as structures.

    >>> two_cells = torch.tensor([[[[0, 1, 1, 1, 2]]]])
    >>> label_maps(two_cells, [True])[0, :, 0]
    tensor([[0., 1., 1., 1., 1.],
            [0., 1., 0., 1., 1.]])
    """
    if planes.shape[1] != len(instances):
        raise ShapeError(
            f"There are {planes.shape[1]} label planes but {len(instances)} structures. Give one plane per structure."
        )
    maps = []
    for plane, apart in zip(planes.unbind(1), instances, strict=True):
        maps.append(plane > 0)
        if apart:
            maps.append(inner_boundary(plane))
    return torch.stack(maps, dim=1).float()


def inner_boundary(labels: Int[Tensor, "b y x"]) -> Bool[Tensor, "b y x"]:
    """Return the pixels of objects that touch background or another object, corners included.

    The edge of the picture is no boundary: what lies beyond it is not known.

    Args:
        labels: Object numbers; 0 is background. Compared as integers, so numbers of any size stay
            apart.
    """
    edge = torch.zeros_like(labels, dtype=torch.bool)
    for here, there in _NEIGHBOURS:
        differ = labels[:, *here] != labels[:, *there]
        edge[:, *here] |= differ
        edge[:, *there] |= differ
    return edge & (labels > 0)


_ALL, _FIRST, _LAST = slice(None), slice(None, -1), slice(1, None)
_NEIGHBOURS = (  # each pair of neighbouring pixels once: below, beside, and the two diagonals
    ((_FIRST, _ALL), (_LAST, _ALL)),
    ((_ALL, _FIRST), (_ALL, _LAST)),
    ((_FIRST, _FIRST), (_LAST, _LAST)),
    ((_FIRST, _LAST), (_LAST, _FIRST)),
)
