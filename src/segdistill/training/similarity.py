"""What is kept of a teacher's features for prototype matching: a map per class, on the image's own grid."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Float16, Shaped

from segdistill.data.labels import Structure, output_names
from segdistill.objectives import prototype_similarity, teacher_classes
from segdistill.targets.quantise import load_maps
from segdistill.training.objective import taught_outputs


def teacher_similarity(
    tokens: Float[np.ndarray, "_ _ d"],
    target: Mapping[str, Shaped[np.ndarray, "y x"]],
    structures: Sequence[Structure],
    counts: Bool[np.ndarray, "y x"],
) -> Float16[np.ndarray, "m y x"]:
    """Return how alike each pixel is, to a teacher, to what is typical of each of its outputs and of the rest.

    It is a statement about pixels, as probabilities are: it is cut, mirrored and magnified with its
    image, which features must not be.

    Args:
        tokens: The teacher's features of the whole image, on their own coarser grid.
        target: Its probabilities, by output, as they are stored.
        structures: What the student segments.
        counts: False where a pixel counts for nothing.

    Returns:
        −1 to 1: the outputs that student and teacher share, in the student's order, and the rest.
    """
    names = [output_names(structures)[place] for place in taught_outputs(structures, tuple(target))]
    maps = np.stack([load_maps(target[name]) for name in names]) if names else np.zeros((0, *counts.shape), np.float32)
    counted = torch.from_numpy(counts)[None].float()
    features = torch.from_numpy(np.ascontiguousarray(tokens, dtype=np.float32)).permute(2, 0, 1)[None]
    grid = (features.shape[2], features.shape[3])
    # What a cell has of a class, of the pixels that count: so the prototypes' weights need no second map.
    classes = F.adaptive_avg_pool2d(teacher_classes(torch.from_numpy(maps)[None]) * counted[:, None], grid)
    alike = prototype_similarity(features, classes, torch.ones(1, *grid))
    return F.interpolate(alike, counts.shape, mode="bilinear")[0].numpy().astype(np.float16)
