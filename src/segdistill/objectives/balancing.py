"""How much each of several teachers counts: shares α that are 0 or more and sum to 1.

Every balancing takes this micro-batch's part of each teacher's loss, and the losses of the whole
optimiser step, detached: what it decides depends on the latter alone, so micro-batches and processes
of a step all decide the same and add up to the step. A teacher that said nothing of any image of the
step is left out of both; the others share what it would have had.

Note [Collapse]: with shares that are learnt on the weighed sum L = Σ α·ℓ itself, the gradient that
reaches the logit of teacher i is α_i·(ℓ_i − L): the teacher that is matched best gains, and the one
that the student must still learn from loses, until the easiest is the only one left. As printed, both
learnt balancings do this. ``SAFE`` keeps a floor under every share and pays for spreading them;
``segdistill.objectives.collapse`` names the teacher that was lost.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from segdistill.errors import ConfigError, UnknownName

Scalars = Mapping[str, Float[Tensor, ""]]


@runtime_checkable
class Balancing(Protocol):
    """A way to share out the step among the teachers."""

    def __call__(self, terms: Scalars, seen: Scalars, share: float, step: int) -> Tensor:
        """Return this micro-batch's part of the loss.

        Args:
            terms: Each teacher's loss, this micro-batch's part.
            seen: Each teacher's loss in the whole optimiser step, without gradient; of the teachers that said
                something in it.
            share: This micro-batch's fraction of the step, 0 to 1.
            step: Number of the optimiser step, from 0.
        """
        ...

    def scalars(self) -> dict[str, float]:
        """Return what the log should hold of it: the last share of each teacher."""
        ...


@dataclass(frozen=True, kw_only=True)
class Safety:
    """What keeps learnt shares from collapsing onto the easiest teacher."""

    floor: float = 0.0
    """Part of the whole that is shared out evenly, whatever is learnt, 0 to 1. 0 is none."""

    entropy: float = 0.0
    """Reward for spreading the shares, unit of the losses per nat, ≥ 0. 0 is none."""

    def __post_init__(self) -> None:
        if not (0 <= self.floor <= 1 and 0 <= self.entropy < float("inf")):
            raise ConfigError(
                f"floor is {self.floor} and entropy {self.entropy}, but a floor is a part of the whole, 0 to 1, and"
                " a reward is not negative."
            )


PRINTED = Safety()
"""Learnt shares as the paper prints them."""

SAFE = Safety(floor=0.5, entropy=1.0)
"""Ours: half of the whole is shared evenly, and beyond that the best shares are softmax(−ℓ / entropy).
Losses of standardised targets are at most about 1, so shares differ by a factor of e at most."""


class LossScores(nn.Module):
    """Scores of the teachers from their losses: W₂·σ(W₁·ℓ + b₁) + b₂, equal to begin with.

    W₂ has a row per teacher; σ is the logistic function.

    Source:
        arXiv:2504.02351, the balancing called MLP, which prints a W₂ of one row.
    """

    def __init__(self, teachers: int, hidden: int = 16) -> None:
        super().__init__()
        self.inner = nn.Linear(teachers, hidden)
        self.outer = nn.Linear(hidden, teachers)
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def forward(self, losses: Float[Tensor, " t"]) -> Float[Tensor, " t"]:
        """Return a score per teacher."""
        return self.outer(torch.sigmoid(self.inner(losses)))


class KeyScores(nn.Module):
    """Scores of the teachers from a learnt query and a learnt key of each: qᵀk/√d, equal to begin with.

    Source:
        arXiv:2504.02351, the balancing called attention.
    """

    def __init__(self, teachers: int, width: int = 16) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.randn(width))
        self.keys = nn.Parameter(torch.zeros(teachers, width))

    def forward(self, losses: Float[Tensor, " t"]) -> Float[Tensor, " t"]:  # noqa: ARG002 - it does not look at them
        """Return a score per teacher."""
        return self.keys @ self.query / len(self.query) ** 0.5


class LearnedBalancing(nn.Module):
    """Shares learnt with the network, on its own loss. Give its parameters **no weight decay**."""

    def __init__(self, teachers: Sequence[str], scores: nn.Module, safety: Safety = PRINTED) -> None:
        """Keep the parts.

        Args:
            teachers: Names, in the order of the scores.
            scores: From the losses of the step to a score per teacher: ``LossScores``, ``KeyScores``.
            safety: What keeps the shares from collapsing.
        """
        super().__init__()
        self.teachers = tuple(teachers)
        self.scores = scores
        self.safety = safety
        self._last: dict[str, float] = {}

    @property
    def scores_losses(self) -> bool:
        """Whether its scores look at the losses at all."""
        return not isinstance(self.scores, KeyScores)

    def shares(self, seen: Scalars) -> Float[Tensor, " t"]:
        """Return the share of every teacher, 0 of those that are not in ``seen``; gradients reach the scores."""
        names = _present(self.teachers, seen)
        losses = torch.stack([seen[name].detach() if name in seen else _zero(seen) for name in self.teachers])
        present = torch.tensor([name in seen for name in self.teachers], device=losses.device)
        learnt = torch.softmax(self.scores(losses).masked_fill(~present, -torch.inf), dim=0)
        return (1 - self.safety.floor) * learnt + self.safety.floor * present / len(names)

    def forward(self, terms: Scalars, seen: Scalars, share: float, step: int) -> Float[Tensor, ""]:  # noqa: ARG002
        """Return Σ α·ℓ less the reward for spreading α; see ``Balancing``."""
        _check_names(self.teachers, terms)
        shares = self.shares(seen)
        self._last = dict(zip(self.teachers, shares.detach().tolist(), strict=True))
        weighed = torch.stack([part * terms[name] for name, part in zip(self.teachers, shares, strict=True)]).sum()
        return weighed - share * self.safety.entropy * entropy(shares)

    def scalars(self) -> dict[str, float]:
        """Return the shares of the last call, for the log."""
        return {f"alpha_{name}": value for name, value in self._last.items()}


class FixedBalancing:
    """Shares in fixed proportion."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        """Keep the proportions.

        Args:
            weights: Per teacher, > 0, no unit; only their ratios matter.

        Raises:
            ConfigError: A weight is not positive or not finite. Leave out a teacher that is to have none.
        """
        wrong = {name: weight for name, weight in weights.items() if not 0 < weight < float("inf")}
        if wrong:
            raise ConfigError(f"Weights of teachers must be above 0 and finite, but there are {wrong}.")
        self.weights = dict(weights)
        self._last: dict[str, float] = {}

    def __call__(self, terms: Scalars, seen: Scalars, share: float, step: int) -> Float[Tensor, ""]:  # noqa: ARG002
        """Return Σ α·ℓ; see ``Balancing``."""
        _check_names(tuple(self.weights), terms)
        names = _present(tuple(self.weights), seen)
        total = sum(self.weights[name] for name in names)
        self._last = {name: weight / total if name in seen else 0.0 for name, weight in self.weights.items()}
        return torch.stack([part * terms[name] for name, part in self._last.items()]).sum()

    def scalars(self) -> dict[str, float]:
        """Return the shares of the last call, for the log."""
        return {f"alpha_{name}": value for name, value in self._last.items()}


class DroppingBalancing:
    """Equal shares of the teachers that are kept in a step: the worst matched always, each other by chance.

    Source:
        Sariyildiz et al. 2024 (UNIC), arXiv:2408.05088, teacher dropping; there for each image, here
        for the step, because weights that are known before the forward pass cannot depend on losses.
    """

    def __init__(self, teachers: Sequence[str], probability: float = 0.5, *, seed: int = 0) -> None:
        """Keep the parts.

        Args:
            teachers: Names.
            probability: With which each but the worst is dropped, 0 to 1.
            seed: Of the draws, which are a function of it and the step.

        Raises:
            ConfigError: The probability is none.
        """
        if not 0 <= probability <= 1:
            raise ConfigError(f"The probability of dropping a teacher is {probability}. Choose one from 0 to 1.")
        self.teachers, self.probability, self.seed = tuple(teachers), probability, seed
        self._last: dict[str, float] = {}

    def __call__(self, terms: Scalars, seen: Scalars, share: float, step: int) -> Float[Tensor, ""]:  # noqa: ARG002
        """Return Σ α·ℓ; see ``Balancing``."""
        _check_names(self.teachers, terms)
        names = _present(self.teachers, seen)
        draws = dict(
            zip(self.teachers, np.random.default_rng((self.seed, step)).random(len(self.teachers)), strict=True)
        )
        losses = torch.stack([seen[name].detach() for name in names])
        kept = kept_shares(losses, torch.tensor([draws[name] for name in names]), probability=self.probability)
        self._last = dict.fromkeys(self.teachers, 0.0) | dict(zip(names, kept.tolist(), strict=True))
        return torch.stack([part * terms[name] for name, part in self._last.items()]).sum()

    def scalars(self) -> dict[str, float]:
        """Return the shares of the last call, for the log."""
        return {f"alpha_{name}": value for name, value in self._last.items()}


def kept_shares(
    losses: Float[Tensor, "*lead t"], draws: Float[Tensor, "*lead t"], *, probability: float = 0.5
) -> Float[Tensor, "*lead t"]:
    """Return equal shares of the teachers that are kept: the one with the largest loss, and others by their draws.

    Args:
        losses: Of each teacher, of a step or of each image.
        draws: Uniform from 0 to 1; a teacher is dropped whose draw is below ``probability``.
        probability: 0 to 1.

    Source:
        Sariyildiz et al. 2024 (UNIC), arXiv:2408.05088.

    >>> kept_shares(torch.tensor([3.0, 1.0, 2.0]), torch.tensor([0.1, 0.2, 0.9])).tolist()
    [0.5, 0.0, 0.5]
    """
    worst = nn.functional.one_hot(losses.detach().argmax(dim=-1), losses.shape[-1]).bool()
    kept = (worst | (draws.to(losses.device) >= probability)).to(losses.dtype)
    return kept / kept.sum(dim=-1, keepdim=True)


def entropy(shares: Float[Tensor, " t"]) -> Float[Tensor, ""]:
    """Return −Σ α·ln α in nats, 0 where α is 0: 0 for one teacher alone, ln t for equal shares.

    >>> round(entropy(torch.tensor([0.5, 0.5, 0.0])).item(), 4)
    0.6931
    """
    # Not 0 · ln 0: its gradient would be nan.
    return -(shares * torch.where(shares > 0, shares, torch.ones_like(shares)).log()).sum()


_SCORES: Mapping[str, Callable[[int], nn.Module]] = MappingProxyType({"mlp": LossScores, "attention": KeyScores})

BALANCINGS = ("uniform", "fixed", "dropping", *_SCORES)
"""Names of the balancings."""


def build_balancing(
    name: str,
    teachers: Sequence[str],
    *,
    weights: Mapping[str, float] | None = None,
    safety: Safety | None = None,
    seed: int = 0,
) -> Balancing:
    """Return the balancing with this name for these teachers.

    Args:
        name: "uniform", "fixed", "dropping", "mlp" or "attention". The last two are modules with
            parameters, drawn from torch's generator.
        teachers: Names, without dots, at least one.
        weights: For "fixed": of every teacher, > 0.
        safety: For "mlp" and "attention"; None is ``SAFE``, and ``PRINTED`` is as the paper has it.
        seed: Of the draws of "dropping".

    Raises:
        UnknownName: No balancing has this name.
        ConfigError: An option is given that this balancing has not, or one is missing.

    >>> balancing = build_balancing("uniform", ["a", "b"])
    >>> losses = {"a": torch.tensor(1.0), "b": torch.tensor(3.0)}
    >>> balancing(losses, losses, 1.0, 0).item(), balancing.scalars()
    (2.0, {'alpha_a': 0.5, 'alpha_b': 0.5})
    """
    if name not in BALANCINGS:
        raise UnknownName("balancing", name, BALANCINGS)
    if not teachers or len(set(teachers)) < len(teachers):
        raise ConfigError(f"Teachers need names of their own, but they are {', '.join(teachers) or 'none'}.")
    if safety is not None and name not in _SCORES:
        raise ConfigError(f"A floor and a reward are for learnt shares, but balancing is {name}. Leave them out.")
    if (weights is not None) != (name == "fixed") or (weights and set(weights) != set(teachers)):
        raise ConfigError(
            f"Balancing {name} was given weights of {', '.join(weights or ()) or 'no teacher'}, and the teachers are"
            f" {', '.join(teachers)}. Give one for each with fixed, and none with another balancing."
        )
    if name in _SCORES:
        return LearnedBalancing(teachers, _SCORES[name](len(teachers)), safety or SAFE)
    if name == "dropping":
        return DroppingBalancing(teachers, seed=seed)
    return FixedBalancing(weights or dict.fromkeys(teachers, 1.0))


def _present(teachers: Sequence[str], seen: Scalars) -> tuple[str, ...]:
    strange = sorted(set(seen) - set(teachers))
    names = tuple(name for name in teachers if name in seen)
    if strange or not names:
        raise ConfigError(
            f"The balancing knows the teachers {', '.join(teachers)}, but got losses of"
            f" {', '.join(seen) or 'none'}. Give those of the step's teachers, and skip a step without any."
        )
    return names


def _check_names(teachers: Sequence[str], terms: Scalars) -> None:
    if set(terms) != set(teachers):
        raise ConfigError(
            f"The balancing knows the teachers {', '.join(teachers)}, but got the terms {', '.join(terms)}."
            " Give every teacher's each time, 0 where nothing counted."
        )


def _zero(seen: Scalars) -> Float[Tensor, ""]:
    return torch.zeros_like(next(iter(seen.values())))
