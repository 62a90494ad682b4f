"""How the terms of an objective become one number: fixed weights, or weights learnt by uncertainty.

All are linear in the terms, and what does not depend on the terms is scaled by ``share``, so the
micro-batches of a step add up to the step.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from segdistill.errors import ConfigError, UnknownName

Scalars = Mapping[str, Float[Tensor, ""]]
Rule = Callable[[Scalars, Scalars, float], Tensor]

LIMIT = 5.0
"""Learnt log variances are kept within ± this."""

SIGNED: frozenset[str] = frozenset({"surface_distance"})
"""Terms that can be negative: a learnt weight would grow without end, its log variance run to the limit."""

USUAL_WEIGHTS: Mapping[str, float] = MappingProxyType({"surface_distance": 0.01})
"""Fixed weights where none is given; every other term has 1."""


@runtime_checkable
class Weighting(Protocol):
    """A way to make one number of the terms."""

    def __call__(self, terms: Scalars, share: float) -> Tensor:
        """Return the weighed sum of this micro-batch's terms."""
        ...

    def scalars(self) -> dict[str, float]:
        """Return what the log should hold of it."""
        ...


def uncertainty_weighting(log_variances: Scalars, terms: Scalars, share: float) -> Float[Tensor, ""]:
    """Σ ½·exp(−s_i)·L_i + share·½·s_i: each term weighed by a learnt uncertainty.

    The sum may be negative. At the optimum s_i = log L_i, so the smallest term has the largest
    weight: plot s_i. A term that nothing counts for in some steps is 0 there while its s_i is still
    drawn down: if it is present in one step of four, its weight grows fourfold, and its say is the
    same on average.

    Args:
        log_variances: s_i per term, nats. Gradients flow here too.
        terms: L_i, this micro-batch's share of each term, ≥ 0 and 0 where nothing counted.
        share: This micro-batch's fraction of the optimiser step, 0 to 1.

    Raises:
        ConfigError: Terms and variances have different names.

    Source:
        Kendall, Gal, Cipolla 2018, arXiv:1705.07115, section 3.2, with s = log σ².

    >>> zero, one = torch.tensor(0.0), torch.tensor(1.0)
    >>> uncertainty_weighting({"seg": zero}, {"seg": one}, 1.0).item()
    0.5
    """
    _check_names(log_variances, terms)
    return _sum(0.5 * torch.exp(-s) * terms[name] + share * 0.5 * s for name, s in log_variances.items())


def bounded_uncertainty(log_variances: Scalars, terms: Scalars, share: float) -> Float[Tensor, ""]:
    """Σ ½·exp(−s_i)·L_i + share·log(1 + exp(s_i)): as above, but never negative.

    Args:
        log_variances: s_i per term, nats. Gradients flow here too.
        terms: L_i, this micro-batch's share of each term, ≥ 0 and 0 where nothing counted.
        share: This micro-batch's fraction of the optimiser step, 0 to 1.

    Raises:
        ConfigError: Terms and variances have different names.

    Source:
        Liebel, Körner 2018, arXiv:1805.06334, with s = log c².
    """
    _check_names(log_variances, terms)
    return _sum(
        0.5 * torch.exp(-s) * terms[name] + share * torch.log1p(torch.exp(s)) for name, s in log_variances.items()
    )


def fixed_weighting(weights: Mapping[str, float], terms: Scalars) -> Float[Tensor, ""]:
    """Σ w_i·L_i.

    Args:
        weights: w_i per term, ≥ 0, no unit.
        terms: L_i, this micro-batch's share of each term.

    Raises:
        ConfigError: Terms and weights have different names.
    """
    _check_names(weights, terms)
    return _sum(weight * terms[name] for name, weight in weights.items())


class LearnedWeighting(nn.Module):
    """Log variances s_i, learnt with the network, and the rule that they weigh terms by.

    Give its parameters **no weight decay**. Before each use they are brought back into ± ``LIMIT``
    where the optimiser left it: the values move, not the gradient, so a variance at the limit
    leaves it as soon as its term asks for that. (A clamp inside the graph would hold it for good.)
    """

    def __init__(self, names: Sequence[str], rule: Rule = uncertainty_weighting) -> None:
        """Start all log variances at 0.

        Args:
            names: Of the terms, without dots.
            rule: ``uncertainty_weighting`` or ``bounded_uncertainty``.

        Raises:
            ConfigError: A term can be negative, or a name comes twice.
        """
        super().__init__()
        _check_learnable(names)
        self.rule = rule
        self.log_variances = nn.ParameterDict([(name, nn.Parameter(torch.zeros(()))) for name in names])

    def forward(self, terms: Scalars, share: float) -> Float[Tensor, ""]:
        """Return the weighed sum of this micro-batch's terms.

        Args:
            terms: This micro-batch's share of every term.
            share: This micro-batch's fraction of the optimiser step, 0 to 1.
        """
        with torch.no_grad():
            for s in self.log_variances.values():
                s.clamp_(-LIMIT, LIMIT)
        return self.rule(dict(self.log_variances.items()), terms, share)

    def scalars(self) -> dict[str, float]:
        """Return s_i per term, nats, for the log.

        >>> LearnedWeighting(["seg", "kd"]).scalars()
        {'s_seg': 0.0, 's_kd': 0.0}
        """
        return {f"s_{name}": float(s.detach().clamp(-LIMIT, LIMIT)) for name, s in self.log_variances.items()}


class FixedWeighting:
    """Weights that stay as they are."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        """Keep the weights.

        Args:
            weights: Per term, ≥ 0, no unit.

        Raises:
            ConfigError: A weight is negative or not finite.
        """
        wrong = {name: weight for name, weight in weights.items() if not 0 <= weight < float("inf")}
        if wrong:
            raise ConfigError(f"Weights must be finite and not negative, but there are {wrong}.")
        self.weights = dict(weights)

    def __call__(self, terms: Scalars, share: float) -> Float[Tensor, ""]:  # noqa: ARG002 - no constant to share out
        """Return the weighed sum of this micro-batch's terms."""
        return fixed_weighting(self.weights, terms)

    def scalars(self) -> dict[str, float]:
        """Return the weights, for the log.

        >>> FixedWeighting({"kd": 1.0}).scalars()
        {'w_kd': 1.0}
        """
        return {f"w_{name}": weight for name, weight in self.weights.items()}


_RULES: Mapping[str, Rule] = MappingProxyType({"uncertainty": uncertainty_weighting, "bounded": bounded_uncertainty})


def build_weighting(name: str, terms: Sequence[str], *, weights: Mapping[str, float] | None = None) -> Weighting:
    """Return the weighting with this name for these terms.

    Args:
        name: "fixed", "uncertainty" or "bounded". The last two are modules with parameters.
        terms: Names of the terms.
        weights: For "fixed": weights of some or all terms, ≥ 0. None or missing: 1, and 0.01 for
            ``surface_distance``.

    Raises:
        UnknownName: No weighting has this name.
        ConfigError: Weights are given to a learnt weighting or to a term that is not there, or a
            term that can be negative is to have a learnt weight.

    >>> build_weighting("fixed", ["seg", "surface_distance"]).scalars()
    {'w_seg': 1.0, 'w_surface_distance': 0.01}
    """
    if name != "fixed" and name not in _RULES:
        raise UnknownName("weighting", name, ["fixed", *_RULES])
    if name == "fixed":
        return FixedWeighting(_fill_weights(terms, weights or {}))
    if weights:
        raise ConfigError(f"Weights are given, but {name} weighting learns its own. Drop them, or choose fixed.")
    return LearnedWeighting(terms, _RULES[name])


def _fill_weights(terms: Sequence[str], weights: Mapping[str, float]) -> dict[str, float]:
    strange = sorted(set(weights) - set(terms))
    if strange:
        raise ConfigError(f"Weights are given for {', '.join(strange)}, but the terms are {', '.join(terms)}.")
    return {term: weights.get(term, USUAL_WEIGHTS.get(term, 1.0)) for term in terms}


def _check_learnable(names: Sequence[str]) -> None:
    signed = [name for name in names if name in SIGNED]
    if signed:
        raise ConfigError(
            f"{' and '.join(signed)} can be negative, so its weight cannot be learnt: it would grow to its limit."
            " Use fixed weighting."
        )
    if len(set(names)) < len(names):
        raise ConfigError(f"A term comes twice among {', '.join(names)}. Give each its own name.")


def _check_names(wanted: Collection[str], found: Collection[str]) -> None:
    if set(wanted) != set(found):
        raise ConfigError(
            f"The weighting knows the terms {', '.join(wanted)}, but got {', '.join(found)}."
            " Give every term each time, 0 where nothing counted."
        )


def _sum(parts: Iterable[Tensor]) -> Float[Tensor, ""]:
    return torch.stack(list(parts)).sum()
