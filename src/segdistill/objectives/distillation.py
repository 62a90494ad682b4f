"""The terms between student and teacher, by name, and which of them may stand alone."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import torch
from jaxtyping import Float
from torch import Tensor

from segdistill.errors import ConfigError, UnknownName
from segdistill.objectives import divergence
from segdistill.objectives.correlation import dist_intra
from segdistill.objectives.inputs import widen
from segdistill.objectives.pixel import probability_mse, soft_dice
from segdistill.objectives.weights import image_weights, joint_weights, pixel_weights

SUREST = 1e-4
"""Stored probabilities are taken to lie between this and one minus this where logits are made of them.

A teacher's 1.0 is often a rounded 0.9998 (float16) or 0.998 (uint8), so its logit is not known.
"""


@dataclass(frozen=True, kw_only=True)
class Distillation:
    """One interchangeable term between student and teacher."""

    value: Callable[..., Tensor]
    """From ``(scores, target, counts)``, and ``temperature`` where the term has one, to an unreduced map: the student's
    logits, the teacher's probabilities and how much each pixel counts, all ``b k y x``."""

    weigh: Callable[[Tensor], Tensor]
    """From counts to the weights of that map; needs no forward pass."""

    anchored: bool
    """Whether the term fixes the level of the student's probabilities, and so a threshold."""

    exclusive: bool = False
    """Whether the outputs must be exclusive classes, two or more, rather than independent sigmoids."""

    temperature: float | None = None
    """Divides the logits of both, > 0, no unit. None: the term takes none."""

    prototypes: bool = False
    """Whether similarity of features to prototypes is matched beside the value, with the same weight: see
    ``prototype_matching``. The teacher must give features."""

    def __call__(
        self, scores: Float[Tensor, "b k y x"], target: Float[Tensor, "b k _ _"], counts: Float[Tensor, "b k _ _"]
    ) -> Float[Tensor, "b k *rest"] | Float[Tensor, "b y x"]:
        """Return the unreduced map; its weights are ``weigh(counts)``.

        Args:
            scores: The student's logits. Gradients flow here only.
            target: The teacher's probabilities, 0 to 1.
            counts: How much each pixel counts, 0 to 1.

        Raises:
            ShapeError: The grids differ.
        """
        if self.temperature is None:
            return self.value(scores, target, counts)
        return self.value(scores, target, counts, temperature=self.temperature)


def _probability_mse(scores: Tensor, target: Tensor, counts: Tensor) -> Tensor:  # noqa: ARG001
    return probability_mse(scores, target)


def _binary_kl(scores: Tensor, target: Tensor, counts: Tensor, *, temperature: float) -> Tensor:  # noqa: ARG001
    return divergence.binary_kl(scores, logits_of(target), temperature=temperature)


def _channel_kl(scores: Tensor, target: Tensor, counts: Tensor, *, temperature: float) -> Tensor:
    return divergence.channel_kl(scores, logits_of(target), counts, temperature=temperature)


def _pixel_kl(scores: Tensor, target: Tensor, counts: Tensor, *, temperature: float) -> Tensor:  # noqa: ARG001
    return divergence.pixel_kl(scores, log_of(target), temperature=temperature)


def _standardised_kl(scores: Tensor, target: Tensor, counts: Tensor, *, temperature: float) -> Tensor:
    return divergence.standardised_kl(scores, log_of(target), counts, temperature=temperature)


DISTILLATION: Mapping[str, Distillation] = MappingProxyType(
    {
        "probability_mse": Distillation(value=_probability_mse, weigh=pixel_weights, anchored=True),
        "binary_kl": Distillation(value=_binary_kl, weigh=pixel_weights, anchored=True, temperature=2.0),
        "soft_dice": Distillation(value=soft_dice, weigh=image_weights, anchored=True),
        "channel_kl": Distillation(value=_channel_kl, weigh=image_weights, anchored=False, temperature=4.0),
        "pixel_kl": Distillation(value=_pixel_kl, weigh=joint_weights, anchored=True, exclusive=True, temperature=2.0),
        "standardised_kl": Distillation(
            value=_standardised_kl, weigh=joint_weights, anchored=False, exclusive=True, temperature=2.0
        ),
        "dist_intra": Distillation(value=dist_intra, weigh=image_weights, anchored=False),
        # ProtoKD (arXiv:2303.09830) matches outputs too; its code weighs the two 10 and 0.1 at temperature 10 without
        # the square of it, which with the square is one to one.
        "prototype_matching": Distillation(
            value=_binary_kl, weigh=pixel_weights, anchored=True, temperature=2.0, prototypes=True
        ),
    }
)


def distillation_term(name: str, *, temperature: float | None = None) -> Distillation:
    """Return the term with this name.

    Args:
        name: As in the settings.
        temperature: Divides the logits of both, > 0, no unit. None is the term's own.

    Raises:
        UnknownName: No term has this name.
        ConfigError: The term takes no temperature.

    >>> distillation_term("channel_kl").anchored
    False
    """
    if name not in DISTILLATION:
        raise UnknownName("distillation term", name, DISTILLATION)
    term = DISTILLATION[name]
    if temperature is None:
        return term
    if term.temperature is None:
        takers = ", ".join(known for known, other in DISTILLATION.items() if other.temperature is not None)
        raise ConfigError(f"temperature is {temperature}, but {name} has none. Drop it, or choose one of {takers}.")
    return replace(term, temperature=temperature)


def check_anchored(terms: Collection[str], labels: bool) -> None:
    """Refuse terms that, without labels, would leave the student's threshold to chance.

    ``channel_kl``, ``standardised_kl`` and ``dist_intra`` do not see a shift of the student's
    scores (the last, of its probabilities): alone they teach a shape at no level.

    Args:
        terms: Names of the distillation terms with a weight above 0. Empty: there is no teacher.
        labels: Whether labels take part in the training.

    Raises:
        UnknownName: No term has such a name.
        ConfigError: There are no labels, and no term says at what level to cut.

    >>> check_anchored(["channel_kl", "binary_kl"], labels=False)
    """
    known = {name: distillation_term(name) for name in terms}
    if labels or any(term.anchored for term in known.values()):
        return
    if not known:
        raise ConfigError("There are neither labels nor a distillation term, so there is nothing to learn from.")
    raise ConfigError(
        f"Without labels, {' and '.join(known)} cannot teach where to cut the student's probabilities."
        " Add binary_kl or probability_mse, or give labels."
    )


def check_exclusive(terms: Collection[str], exclusive: bool) -> None:
    """Refuse terms over exclusive classes where the outputs are independent sigmoids.

    Args:
        terms: Names of the distillation terms.
        exclusive: Whether the student's outputs are exclusive classes, two or more.

    Raises:
        UnknownName: No term has such a name.
        ConfigError: A term needs exclusive classes and there are none.
    """
    wrong = [name for name in terms if distillation_term(name).exclusive]
    if wrong and not exclusive:
        raise ConfigError(
            f"{' and '.join(wrong)} compares exclusive classes, but the student's outputs are independent of each"
            " other. Use binary_kl."
        )


def logits_of(probabilities: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return the logits of probabilities, of which none is surer than ``SUREST``.

    >>> logits_of(torch.tensor([0.5, 1.0])).tolist()
    [0.0, 9.21...]
    """
    return torch.logit(widen(probabilities), eps=SUREST)


def log_of(probabilities: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return the logarithms of the probabilities of exclusive classes, each at least ``SUREST``.

    They are logits: their softmax gives the probabilities back.
    """
    return widen(probabilities).clamp_min(SUREST).log()
