"""The terms between a student's and a teacher's features, by name, and how much their values count."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

from jaxtyping import Float
from torch import Tensor

from segdistill.errors import UnknownName
from segdistill.objectives.inputs import widen
from segdistill.objectives.relations import attention_map, gram, pairwise
from segdistill.objectives.tokens import hidden_mse, token_cosine, token_cosine_smooth_l1, token_mse, token_smooth_l1


def token_weights(counts: Float[Tensor, "b y x"]) -> Float[Tensor, "b y x"]:
    """Return the weights of an objective with one value per token.

    Args:
        counts: How much each token counts, 0 to 1; 0 where the teacher said nothing.
    """
    return widen(counts)


def grid_weights(counts: Float[Tensor, "b y x"]) -> Float[Tensor, " b"]:
    """Return the weights of an objective with one value per image: 1 if any token counts.

    Args:
        counts: How much each token counts, 0 to 1.

    >>> import torch
    >>> grid_weights(torch.tensor([[[0.0, 0.5]], [[0.0, 0.0]]])).tolist()
    [1.0, 0.0]
    """
    wide = widen(counts)
    return (wide > 0).flatten(1).any(dim=1).to(wide.dtype)


@dataclass(frozen=True, kw_only=True)
class FeatureTerm:
    """One interchangeable term between the feature grids of student and teacher."""

    value: Callable[..., Tensor]
    """From ``(student, teacher, counts)`` to an unreduced map: tokens ``b d y x``, and how much each
    counts, ``b y x``."""

    weigh: Callable[[Tensor], Tensor]
    """From counts to the weights of that map; needs no forward pass."""

    projected: bool
    """Whether the student's tokens must have the teacher's width, and so need a projection."""

    sized: bool
    """Whether the term sees how long tokens are. A term that does not leaves that to chance."""

    def __call__(
        self, student: Float[Tensor, "b d y x"], teacher: Float[Tensor, "b e _ _"], counts: Float[Tensor, "b _ _"]
    ) -> Float[Tensor, "b *rest"]:
        """Return the unreduced map; its weights are ``weigh(counts)``.

        Args:
            student: Tokens, of the teacher's width where the term is ``projected``. Gradients flow here only.
            teacher: Tokens on the same grid.
            counts: How much each token counts, 0 to 1.

        Raises:
            ShapeError: The grids differ, or widths that must not.
        """
        return self.value(student, teacher, counts)


def _by_token(value: Callable[[Tensor, Tensor], Tensor], *, sized: bool) -> FeatureTerm:
    return FeatureTerm(value=partial(_of_tokens, value), weigh=token_weights, projected=True, sized=sized)


def _of_tokens(
    value: Callable[[Tensor, Tensor], Tensor],
    student: Tensor,
    teacher: Tensor,
    counts: Tensor,  # noqa: ARG001 - weighs the map, not its values
) -> Tensor:
    return value(student, teacher)


FEATURE_TERMS: Mapping[str, FeatureTerm] = MappingProxyType(
    {
        "token_mse": _by_token(token_mse, sized=True),
        "token_cosine": _by_token(token_cosine, sized=False),
        "token_smooth_l1": _by_token(token_smooth_l1, sized=True),
        "token_cosine_smooth_l1": _by_token(token_cosine_smooth_l1, sized=True),
        "hidden_mse": _by_token(hidden_mse, sized=False),
        "gram": FeatureTerm(value=gram, weigh=grid_weights, projected=False, sized=False),
        "pairwise": FeatureTerm(value=pairwise, weigh=grid_weights, projected=False, sized=False),
        "attention_map": FeatureTerm(value=attention_map, weigh=grid_weights, projected=False, sized=False),
    }
)


def feature_term(name: str) -> FeatureTerm:
    """Return the term with this name.

    Raises:
        UnknownName: No term has this name.

    >>> feature_term("gram").projected
    False
    """
    if name not in FEATURE_TERMS:
        raise UnknownName("feature term", name, FEATURE_TERMS)
    return FEATURE_TERMS[name]
