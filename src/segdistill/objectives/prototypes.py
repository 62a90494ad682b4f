"""How alike each pixel is to what is typical of each class: what prototype matching compares.

Student and teacher may have features of any widths: what is compared is neither's features but a
map per class, the cosine between a pixel's features and the class's prototype, the mean of the
features over its pixels. High values within a class say how much its pixels have in common, low ones
between classes what sets these apart. Both sides form their own prototypes over the same classes.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from segdistill.errors import ShapeError
from segdistill.objectives.inputs import prepare, widen

_FAINT = 1e-4
"""Added to squared lengths: the direction of features that are nearly zero is not known, and counts for little."""


def teacher_classes(target: Float[Tensor, "b k y x"]) -> Float[Tensor, "b m y x"]:
    """Return the pixels of each class: where the teacher's outputs are above ½ and, last, where none is.

    Outputs may overlap, so classes may.

    Args:
        target: The teacher's probabilities. Without any output all pixels are of the one class left.

    >>> teacher_classes(torch.tensor([[[[0.9, 0.2]], [[0.6, 0.5]]]]))[0, :, 0].tolist()
    [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
    """
    inside = widen(target.detach()) > 0.5
    return torch.cat([inside, ~inside.any(dim=1, keepdim=True)], dim=1).to(widen(target).dtype)


def prototype_similarity(
    features: Float[Tensor, "b d y x"], classes: Float[Tensor, "b m _ _"], counts: Float[Tensor, "b _ _"]
) -> Float[Tensor, "b m y x"]:
    """Cosine between the features of each pixel and the prototype of each class in the same image.

    Args:
        features: Of a network, of any width; gradients flow through pixels and prototypes.
        classes: How much each pixel belongs to each class, 0 to 1.
        counts: How much each pixel counts in the prototypes, 0 to 1.

    Returns:
        −1 to 1, without a unit. 0 for a class that has no pixel which counts.

    Raises:
        ShapeError: The grids differ.

    >>> features = torch.tensor([[[[3.0, 0.0]], [[0.0, 2.0]]]])  # two pixels, along two axes
    >>> both = torch.tensor([[[[1.0, 0.0]], [[1.0, 1.0]]]])  # the first alone, and both together
    >>> prototype_similarity(features, both, torch.ones(1, 1, 2))[0, :, 0].round(decimals=2).tolist()
    [[1.0, 0.0], [0.8..., 0.5...]]
    """
    _check_grids(features, classes, counts)
    wide = widen(features).flatten(2)
    share = (widen(classes) * widen(counts)[:, None]).flatten(2)
    total = share.sum(dim=2, keepdim=True)
    prototypes = torch.einsum("bmn,bdn->bmd", share / (total + (total == 0)), wide)
    alike = torch.einsum("bmd,bdn->bmn", _directions(prototypes, dim=2), _directions(wide, dim=1))
    return alike.unflatten(2, features.shape[2:])


def prototype_matching(
    features: Float[Tensor, "b d y x"],
    similarity: Float[Tensor, "b _ _ _"],
    classes: Float[Tensor, "b m _ _"],
    counts: Float[Tensor, "b _ _"],
) -> Float[Tensor, "b m y x"]:
    """Squared difference of the student's similarity to its prototypes and the teacher's to its own.

    Blind to any rotation of the student's features. Prototypes are per image, so that the parts of a
    batch add up to the whole.

    Args:
        features: The student's. Gradients flow here only.
        similarity: The teacher's ``prototype_similarity``, −1 to 1.
        classes: How much each pixel belongs to each class, 0 to 1: the same for both sides.
        counts: How much each pixel counts, 0 to 1.

    Returns:
        0 to 4, without a unit; 0 at equality. Weigh with ``prototype_weights``.

    Raises:
        ShapeError: The grids differ.

    Source:
        Wang et al. 2023, arXiv:2303.09830 (ProtoKD), the prototype term. There classes are the labels,
        here what the teacher says, so that images without labels take part; and the teacher's
        prototypes are those of its whole image, of which the student sees a part.
    """
    student, teacher = prepare(
        prototype_similarity(features, classes, counts), similarity, what="similarities of student and teacher"
    )
    return (student - teacher) ** 2


def prototype_weights(classes: Float[Tensor, "b m y x"], counts: Float[Tensor, "b _ _"]) -> Float[Tensor, "b m y x"]:
    """Return the weights of ``prototype_matching``: 0 throughout where an image has no pixel of a class that counts.

    Args:
        classes: How much each pixel belongs to each class, 0 to 1.
        counts: How much each pixel counts, 0 to 1.
    """
    _check_grids(classes, classes, counts)
    wide = widen(counts)[:, None].expand(classes.shape)
    there = (widen(classes) * wide > 0).flatten(2).any(dim=2)[:, :, None, None]
    return wide * there


def _directions(vectors: Float[Tensor, "*shape"], *, dim: int) -> Float[Tensor, "*shape"]:
    return vectors / ((vectors**2).sum(dim=dim, keepdim=True) + _FAINT).sqrt()


def _check_grids(features: Tensor, classes: Tensor, counts: Tensor) -> None:
    grids = [each.shape[:1] + each.shape[-2:] for each in (features, classes, counts)]
    if len(set(grids)) > 1:
        found = ", ".join(str(tuple(each)) for each in grids)
        raise ShapeError(
            f"Features, classes and counts differ in batch, y or x: {found}. Bring all to one grid before comparing."
        )
