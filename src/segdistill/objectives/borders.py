"""The terms on borders, by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

from jaxtyping import Float
from torch import Tensor

from segdistill.errors import UnknownName
from segdistill.objectives.boundary import boundary_gradient, boundary_weights, surface_distance
from segdistill.objectives.distances import signed_distances
from segdistill.objectives.weights import pixel_weights


@dataclass(frozen=True, kw_only=True)
class BoundaryTerm:
    """One interchangeable term on borders."""

    name: str
    """Of the term in the log and among weights; one that can be negative has a name of its own."""

    value: Callable[[Tensor, Tensor, Tensor], Tensor]
    """From ``(scores, target, counts)`` to an unreduced map: the student's logits, labels as 0 and 1 or a teacher's
    probabilities, and how much each pixel counts, all ``b k y x``."""

    weigh: Callable[[Tensor], Tensor]
    """From counts to the weights of that map; needs no forward pass."""

    def __call__(
        self, scores: Float[Tensor, "b k y x"], target: Float[Tensor, "b k _ _"], counts: Float[Tensor, "b k _ _"]
    ) -> Float[Tensor, "b k *rest"]:
        """Return the unreduced map; its weights are ``weigh(counts)``.

        Args:
            scores: The student's logits. Gradients flow here only.
            target: Labels as 0 and 1, or a teacher's probabilities where there are none.
            counts: How much each pixel counts, 0 to 1.

        Raises:
            ShapeError: The grids differ.
        """
        return self.value(scores, target, counts)


def _surface_distance(scores: Tensor, target: Tensor, counts: Tensor) -> Tensor:
    return surface_distance(scores, signed_distances(target > 0.5, counts > 0))


BOUNDARY: Mapping[str, BoundaryTerm] = MappingProxyType(
    {
        "gradient_3": BoundaryTerm(name="boundary", value=boundary_gradient, weigh=boundary_weights),
        "gradient_5": BoundaryTerm(
            name="boundary", value=partial(boundary_gradient, size=5), weigh=partial(boundary_weights, size=5)
        ),
        # A teacher's map has a border where it passes one half.
        "surface_distance": BoundaryTerm(name="surface_distance", value=_surface_distance, weigh=pixel_weights),
    }
)


def boundary_term(name: str) -> BoundaryTerm | None:
    """Return the term with this name, or None for "none".

    Raises:
        UnknownName: No term has this name.

    >>> boundary_term("surface_distance").name
    'surface_distance'
    """
    if name == "none":
        return None
    if name not in BOUNDARY:
        raise UnknownName("boundary term", name, [*BOUNDARY, "none"])
    return BOUNDARY[name]
