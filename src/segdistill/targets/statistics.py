"""Mean and covariance of the tokens in a store, read once."""

from collections.abc import Collection

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
