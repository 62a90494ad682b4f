"""Three ways to get dense maps out of a promptable SAM; a fourth, the probe, has a file of its own."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from scipy.ndimage import find_objects
from torch import Tensor
from torchvision.ops import nms
from transformers import SamModel

from segdistill.teachers.sam_image import Square, from_square, to_square_xy

Parts = Float[Tensor, "2 y x"]
"""Foreground and inner boundary, probabilities."""


@dataclass(frozen=True, eq=False)
class Encoded:
    """An image as SAM's encoder has seen it, ready to be asked about."""

    model: SamModel
    embedding: Tensor
    square: Square

    def decode(self, *, several: bool, **prompts: Tensor) -> tuple[Tensor, Tensor]:
        """Return coarse scores (prompt x mask x low x low) and predicted IoUs (prompt x mask)."""
        answer = self.model(image_embeddings=self.embedding, multimask_output=several, **prompts)
        return answer.pred_masks[0].float(), answer.iou_scores[0].float()


def tuned(encoded: Encoded, outputs: int) -> Float[Tensor, "k y x"]:
    """Return the probabilities that a tuned SAM gives without any prompt, one mask per output.

    Args:
        encoded: The image.
        outputs: Number of outputs. One is the decoder's single-mask token; several are its
            multi-mask tokens, in order.
    """
    scores, _ = encoded.decode(several=outputs > 1)
    return torch.sigmoid(from_square(scores[0, :outputs], encoded.square))


def boxes(encoded: Encoded, labels: Int[np.ndarray, "y x"], *, batch: int = 32) -> Parts:
    """Return the union of the masks that SAM finds in the labels' own bounding boxes.

    An oracle: it is told where every object lies and how far it reaches.

    Args:
        encoded: The image.
        labels: Instances, 0 is background. None at all gives maps of zeros.
        batch: Boxes decoded at once.
    """
    corners = _label_boxes(labels).to(encoded.embedding.device)
    return union_in_boxes(encoded, to_square_xy(corners.reshape(-1, 2), encoded.square).reshape(-1, 4), batch=batch)


def union_in_boxes(
    encoded: Encoded, boxes: Float[Tensor, "n 4"], *, predicted_iou: float = -math.inf, batch: int = 32
) -> Parts:
    """Return the union of the masks that SAM finds in some boxes.

    Args:
        encoded: The image.
        boxes: First and last corner, (x, y, x, y) in pixels of the square. None at all gives maps of zeros.
        predicted_iou: Masks are kept whose predicted IoU is at least this.
        batch: Boxes decoded at once.
    """
    union = _Union(encoded.square.original)
    for (chunk,) in _batches(boxes, size=batch):
        scores, predicted = encoded.decode(several=False, input_boxes=chunk[None])
        low = scores[:, 0][predicted[:, 0] >= predicted_iou]
        if len(low):  # torch does not resample nothing
            union.add(torch.sigmoid(from_square(low, encoded.square)))
    return union.parts


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The automatic point grid and what is kept of its masks.

    Source:
        Kirillov et al. 2023, arXiv:2304.02643, appendix B.
    """

    side: int = 32
    """Points along each side of the image."""

    batch: int = 64
    """Points decoded at once."""

    predicted_iou: float = 0.88
    """Masks are kept whose predicted IoU is above this."""

    stability: float = 0.95
    """Masks are kept whose stability is above this."""

    offset: float = 1.0
    """Stability is the IoU of the mask cut at plus and at minus this score."""

    overlap: float = 0.7
    """Of two kept masks whose boxes have an IoU above this, the better one stays."""


def grid(encoded: Encoded, settings: Grid) -> Parts:
    """Return the union of the masks that SAM finds by itself from a grid of points.

    SAM does not know what is meant: a mask of the background is a mask to it as well.

    Args:
        encoded: The image.
        settings: The points and the filters. If nothing passes them the maps are zeros.
    """
    coarse: list[Tensor] = []
    ious: list[Tensor] = []
    frames: list[Tensor] = []
    for (points,) in _batches(_grid_points(encoded, settings.side), size=settings.batch):
        prompt = to_square_xy(points, encoded.square)[None, :, None]
        scores, predicted = (part.flatten(0, 1) for part in encoded.decode(several=True, input_points=prompt))
        likely = predicted > settings.predicted_iou
        for low, iou in _batches(scores[likely], predicted[likely], size=32):
            fine = from_square(low, encoded.square)
            steady = stability(fine, settings.offset) > settings.stability
            coarse.append(low[steady])
            ious.append(iou[steady])
            frames.append(_frames(fine[steady] > 0))
    union = _Union(encoded.square.original)
    if coarse:
        kept = nms(torch.cat(frames), torch.cat(ious), settings.overlap)
        for (low,) in _batches(torch.cat(coarse)[kept], size=32):
            union.add(torch.sigmoid(from_square(low, encoded.square)))
    return union.parts


def stability(scores: Float[Tensor, "n y x"], offset: float) -> Float[Tensor, "n"]:
    """Return how little each mask changes with the threshold: IoU of its cuts at +offset and -offset.

    A mask without any pixel above -offset has stability 0.

    >>> stability(torch.tensor([[[2.0, 0.5, -3.0]]]), 1.0)
    tensor([0.5000])
    """
    inner = (scores > offset).sum((1, 2))
    outer = (scores > -offset).sum((1, 2))
    return inner / outer.clamp_min(1)


def inner_boundary(probability: Float[Tensor, "n y x"]) -> Float[Tensor, "n y x"]:
    """Return each mask's inner boundary: itself minus its erosion by a square of 3 pixels.

    The image's edge is no boundary: what lies beyond counts as inside.
    """
    eroded = -F.max_pool2d(-probability[None], 3, stride=1, padding=1)[0]
    return probability - eroded


class _Union:
    """The fuzzy union (maximum) of masks, and of their inner boundaries."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self.parts = torch.zeros((2, *shape))

    def add(self, probability: Float[Tensor, "n y x"]) -> None:
        for row, masks in enumerate((probability, inner_boundary(probability))):
            for mask in masks.cpu():
                self.parts[row] = torch.maximum(self.parts[row], mask)


def _batches(*tensors: Tensor, size: int) -> Iterator[tuple[Tensor, ...]]:
    """Yield parts of equally long tensors, side by side; nothing for empty ones."""
    for start in range(0, len(tensors[0]), size):
        yield tuple(tensor[start : start + size] for tensor in tensors)


def _label_boxes(labels: Int[np.ndarray, "y x"]) -> Float[Tensor, "n 2 2"]:
    """Return the first and the last (y, x) of every object."""
    ids, compact = np.unique(labels, return_inverse=True)  # find_objects makes a list as long as the largest id
    compact = compact.reshape(labels.shape) + int(ids[0] != 0)
    places = [place for place in find_objects(compact) if place is not None]
    corners = [[[place[0].start, place[1].start], [place[0].stop - 1, place[1].stop - 1]] for place in places]
    return torch.tensor(corners, dtype=torch.float32).reshape(-1, 2, 2)


def _grid_points(encoded: Encoded, side: int) -> Float[Tensor, "n 2"]:
    """Return (y, x) of the middles of side x side equal fields of the image."""
    height, width = encoded.square.original
    step = (torch.arange(side, device=encoded.embedding.device) + 0.5) / side
    return torch.cartesian_prod(step * height, step * width)


def _frames(masks: Tensor) -> Float[Tensor, "n 4"]:
    """Return the bounding box of each mask (x0, y0, x1, y1), zeros for an empty one."""
    return torch.stack([_frame(mask) for mask in masks]) if len(masks) else masks.new_zeros((0, 4), dtype=torch.float32)


def _frame(mask: Tensor) -> Tensor:
    if not mask.any():
        return torch.zeros(4, device=mask.device)
    rows, columns = mask.any(1).nonzero(), mask.any(0).nonzero()
    return torch.stack([columns[0], rows[0], columns[-1], rows[-1]]).flatten().float()
