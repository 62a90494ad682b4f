"""A teacher that is asked for its features and for no map."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Float32

from segdistill.errors import ConfigError, UnknownName
from segdistill.teachers.contract import NO_HINT, Contract, Hint, Teacher, TokenTeacher, parameters_of
from segdistill.teachers.sam import SamTeacher


@dataclass(frozen=True, eq=False)
class FeaturesAlone:
    """A teacher whose maps nobody asks for: a SAM, say, whose thousand prompts an image would cost the most.

    Args:
        teacher: Whose features these are.
        contract: Its own, without maps.
    """

    teacher: TokenTeacher
    contract: Contract

    @property
    def parameters(self) -> int | None:
        """Weights of its encoder, a SAM's without the decoder; None: it does not know."""
        return self.teacher.encoder_parameters if isinstance(self.teacher, SamTeacher) else parameters_of(self.teacher)

    def maps(self, image: Float[np.ndarray, "c y x"], hint: Hint = NO_HINT) -> Float32[np.ndarray, "0 y x"]:  # noqa: ARG002
        """Return no map; see ``Teacher``."""
        return np.zeros((0, *image.shape[1:]), np.float32)

    def tokens(
        self, image: Float[np.ndarray, "c y x"], names: tuple[str, ...]
    ) -> dict[str, Float[np.ndarray, "_ _ _"]]:
        """Return the teacher's feature grids; see ``TokenTeacher``."""
        return self.teacher.tokens(image, names)


def features_alone(teacher: Teacher) -> FeaturesAlone:
    """Return a teacher that is asked for its features alone.

    It needs no labels then, however its maps are prompted, and sees every image whole, for features
    are not stitched.

    Raises:
        ConfigError: It gives no features; its contract is named.
    """
    contract = teacher.contract
    if not isinstance(teacher, TokenTeacher) or not contract.tokens:
        raise ConfigError(
            f"Teacher {contract.name!r} gives no tokens. Its contract: channels {_listed(contract.channels)}; maps"
            f" {_listed(contract.outputs)}; tokens none. Name an encoder (hf:FOLDER), a SAM or model:FOLDER."
        )
    return FeaturesAlone(teacher, replace(contract, outputs=(), prompting=None, needs=(), tile=None, note=""))


def chosen_grids(contract: Contract, names: Sequence[str]) -> tuple[str, ...]:
    """Return the token grids that are asked for.

    Args:
        contract: Of a teacher with tokens.
        names: Of its grids. Empty takes the one nearest its maps.

    Raises:
        UnknownName: It has no grid of this name.
    """
    for name in names:
        if name not in contract.tokens:
            raise UnknownName(f"token grid of {contract.name}", name, contract.tokens)
    return tuple(dict.fromkeys(names)) or (next(iter(contract.tokens)),)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"
