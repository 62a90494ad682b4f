"""Mean and covariance of the tokens in a store, read once."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from segdistill.errors import ConfigError
from segdistill.objectives.moments import Moments, gather_moments
from segdistill.targets.store import TargetStore


def token_moments(store: TargetStore, name: str, cases: Collection[str]) -> Moments:
    """Return the moments of a teacher's stored tokens, over all views of some cases.

    One grid is in memory at a time, however many there are.

    Args:
        store: With tokens of this name.
        name: In the header's tokens.
        cases: Names of training cases: test images have no say in how targets are scaled. Those on
            which the teacher failed are left out.

    Raises:
        ConfigError: The store holds no tokens of this name.
        DataError: A token is not finite.
    """
    if name not in store.header.tokens:
        held = ", ".join(store.header.tokens) or "none"
        raise ConfigError(f"{store.folder} holds no tokens called {name!r}. It holds: {held}.")
    wanted = set(cases)
    keys = [key for key in sorted(store.keys()) if store.has(key) and store.parameters(key)["case"] in wanted]
    width = store.header.contracts[0].tokens[name][1]
    return gather_moments((store.tokens(key, name) for key in keys), width=width)


@dataclass(frozen=True)
class Spread:
    """How unlike a teacher's channels are: what a standardisation is for."""

    name: str
    """Of the token grid."""

    tokens: int
    """Number of tokens."""

    width: int
    """Of each."""

    least: float
    """Smallest standard deviation of a channel, unit of the features."""

    largest: float
    """Largest standard deviation of a channel."""

    strongest: float
    """Part of the variance that lies in a single direction, 0 to 1."""

    def __str__(self) -> str:
        """Return it as a line for people.

        >>> print(Spread("embedding", 1369, 768, 0.02, 35.0, 0.61))
        embedding: 1,369 tokens of 768 numbers; channels deviate by 0.02 to 35; one direction holds 61 % of the variance
        """
        return (
            f"{self.name}: {self.tokens:,} tokens of {self.width} numbers; channels deviate by {self.least:.3g} to"
            f" {self.largest:.3g}; one direction holds {100 * self.strongest:.0f} % of the variance"
        )


def spread_of(name: str, moments: Moments) -> Spread:
    """Return how tokens spread, from their moments."""
    deviations = np.sqrt(np.diag(moments.covariance).clip(min=0))
    total = float((deviations**2).sum())
    strongest = float(np.linalg.eigvalsh(moments.covariance)[-1]) / total if total > 0 else 0.0
    return Spread(
        name,
        moments.count,
        len(deviations),
        float(deviations.min(initial=np.inf)),
        float(deviations.max(initial=0)),
        strongest,
    )
