"""What a teacher is and what it promises: the border between those who teach and those who store."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from segdistill.data.normalisation import Rule, rule_from_json, rule_to_json

Need = Literal["case", "labels"]
Prompting = Literal["boxes", "grid", "probe", "tuned"]

_SCALING = ("mean", "deviation")


@dataclass(frozen=True, kw_only=True)
class Contract:
    """What a teacher takes, what it gives and where it comes from."""

    name: str
    """As the user typed it."""

    channels: tuple[str, ...]
    """Names of the channels it must be given, in this order; ``blank`` stands for zeros."""

    rule: Rule
    """How pixel values become the 0…1 that it takes."""

    outputs: tuple[str, ...]
    """Names of the maps it gives, in order."""

    weights_sha256: str
    """SHA-256 of its weights, or of the files that its maps are read from."""

    licence: str
    """Licence of the weights; ``unknown`` where nobody stated one."""

    size: int | None = None
    """Side of the square that its network sees, pixels; None: any size."""

    stride: int = 1
    """The network needs sides that are multiples of this, pixels. The teacher pads by itself."""

    tile: int | None = None
    """Images with a longer side are cut into tiles of this side, pixels; None: never cut."""

    tokens: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Feature grids it can also give: name to (stride in pixels of its square, width); nearest its maps first."""

    pixel_size: float | None = None
    """Images are brought to this before it sees them, micrometres; None: as they are."""

    prompting: Prompting | None = None
    """How dense maps are got from a promptable network; None: it gives them by itself."""

    needs: tuple[Need, ...] = ()
    """What it must be told beside the pixels."""

    labels_seen: int | None = None
    """Labelled images that it was fitted on; None: nobody stated it."""

    precision: Literal["float32", "bfloat16"] = "float32"
    """Number format of its forward pass."""

    note: str = ""
    """What a reader of its results must know."""

    mean: tuple[float, ...] = ()
    """Subtracted from the 0…1, one per channel; empty: nothing is, or its code holds the numbers."""

    deviation: tuple[float, ...] = ()
    """Divides what is left, one per channel; empty as ``mean``."""

    @property
    def oracle(self) -> bool:
        """Whether it reads the labels of the very image it describes, so its maps leak them."""
        return "labels" in self.needs


@dataclass(frozen=True, eq=False)
class Hint:
    """What a teacher may be told beside the pixels of an image."""

    case: str | None = None
    """Name of the case; needed by teachers that look their maps up."""

    labels: Mapping[str, Int[np.ndarray, "y x"]] = field(default_factory=lambda: MappingProxyType({}))
    """Structure to its labels, of the image's size; needed by an oracle."""

    drawn_on: tuple[int, int] | None = None
    """Pixels along y and x of the image's file, whose coordinates outlines have; None: those of the image shown."""


NO_HINT = Hint()


@runtime_checkable
class Teacher(Protocol):
    """A frozen source of probability maps."""

    @property
    def contract(self) -> Contract:
        """What it takes and gives."""
        ...

    def maps(self, image: Float[np.ndarray, "c y x"], hint: Hint = NO_HINT) -> Float[np.ndarray, "k y x"]:
        """Return float32 probabilities, one map per output, on the image's own grid.

        Args:
            image: The contract's channels, normalised by the contract's rule to 0…1.
            hint: What the contract says it needs.
        """
        ...


@runtime_checkable
class TokenTeacher(Teacher, Protocol):
    """A teacher that also gives feature grids."""

    def tokens(
        self, image: Float[np.ndarray, "c y x"], names: tuple[str, ...]
    ) -> dict[str, Float[np.ndarray, "_ _ _"]]:
        """Return float32 feature grids (y x width) by name; they cover the image and no padding."""
        ...


@runtime_checkable
class SizedTeacher(Teacher, Protocol):
    """A teacher that knows how large it is."""

    @property
    def parameters(self) -> int | None:
        """All of its weights; None: it does not know after all."""
        ...


def parameters_of(teacher: Teacher) -> int | None:
    """Return how many weights a teacher has; None where it does not say."""
    return teacher.parameters if isinstance(teacher, SizedTeacher) else None


def contract_to_json(contract: Contract) -> dict[str, Any]:
    """Return a contract as plain JSON values; ``contract_from_json`` undoes it."""
    plain = {entry.name: getattr(contract, entry.name) for entry in fields(contract)}
    for name in _SCALING:  # left out where empty: stores are named by a hash of all this, and older ones have neither
        value = plain.pop(name)
        if value:
            plain[name] = list(value)
    return plain | {
        "rule": rule_to_json(contract.rule),
        "channels": list(contract.channels),
        "outputs": list(contract.outputs),
        "needs": list(contract.needs),
        "tokens": {name: list(shape) for name, shape in contract.tokens.items()},
    }


def contract_from_json(value: Mapping[str, Any]) -> Contract:
    """Return the contract that ``contract_to_json`` wrote."""
    return Contract(
        **dict(value)
        | {
            "rule": rule_from_json(value["rule"]),
            "channels": tuple(value["channels"]),
            "outputs": tuple(value["outputs"]),
            "needs": tuple(value["needs"]),
            "tokens": {name: (stride, width) for name, (stride, width) in value["tokens"].items()},
            **{name: tuple(value.get(name, ())) for name in _SCALING},
        }
    )
