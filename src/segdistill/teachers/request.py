"""What a user asks of a teacher."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from segdistill.data.channels import BLANK
from segdistill.data.labels import Structure
from segdistill.errors import ConfigError
from segdistill.teachers.contract import Prompting

CELL = (Structure("cell", instances=True),)
"""The structures that a teacher is asked for unless it says itself what it gives."""


@dataclass(frozen=True, kw_only=True)
class TeacherOptions:
    """Options that few runs need. All are for SAM-type teachers."""

    size: int | None = None
    """Side of the square that the network sees, pixels; None: the side it was made for."""

    precision: Literal["float32", "bfloat16"] = "float32"
    """Number format of the forward pass."""

    probe: Path | None = None
    """File of a fitted probe, for prompting ``probe``."""

    download: bool = False
    """Whether weights may be downloaded from the Hugging Face hub."""


DEFAULTS = TeacherOptions()


@dataclass(frozen=True, kw_only=True)
class Request:
    """A teacher as it was asked for; every builder takes one."""

    name: str
    """As the user typed it."""

    channels: tuple[str, ...] | None = None
    """Names of the image's channels that it is given; None: what its own contract names."""

    structures: tuple[Structure, ...] = CELL
    """What its maps shall show, where it cannot say so itself."""

    prompting: Prompting | None = None
    """How a promptable teacher is asked; None: its default."""

    weights: Path | None = None
    """File or folder of weights."""

    device: str = "cpu"
    """Where it runs, as torch names devices."""

    options: TeacherOptions = DEFAULTS
    """The rest."""

    @property
    def path(self) -> Path:
        """The part of the name after its prefix, as a path."""
        return Path(self.name.partition(":")[2])


def refuse_sam_only(request: Request, *, why: str) -> None:
    """Refuse what only SAM-type teachers have, so that no option is silently ignored.

    Raises:
        ConfigError: Prompting, weights or an option was given.
    """
    given = [
        f"{option} {value}"
        for option, value in {
            "prompting": request.prompting,
            "weights": request.weights,
            "size": request.options.size,
            "probe": request.options.probe,
            "precision": None if request.options.precision == "float32" else request.options.precision,
        }.items()
        if value is not None
    ]
    if given:
        raise ConfigError(f"Teacher {request.name!r} takes no {', '.join(given)}: {why}. Leave that out.")


def renamed_channels(request: Request, own: tuple[str, ...]) -> tuple[str, ...]:
    """Return the channels to give to a teacher that takes a fixed number of them.

    Args:
        request: Its channels replace the teacher's own names, one for one.
        own: The names in the teacher's own contract.

    Raises:
        ConfigError: The numbers differ, or one of the teacher's own names stands at another place.

    >>> renamed_channels(Request(name="onnx:a.onnx", channels=("R", "G", "B")), ("red", "green", "blue"))
    ('R', 'G', 'B')
    """
    if request.channels is None:
        return own
    if len(request.channels) != len(own):
        raise ConfigError(
            f"Teacher {request.name!r} takes {len(own)} channels ({', '.join(own)}), but was given"
            f" {len(request.channels)} ({', '.join(request.channels) or 'none'}). Name one for each, in that order."
        )
    refuse_misplaced(request.channels, own, teacher=request.name)
    return request.channels


def refuse_misplaced(given: tuple[str, ...], own: tuple[str, ...], *, teacher: str) -> None:
    """Refuse a teacher's own names of channels in another order than its own; other names go by their place.

    Args:
        given: What the user names, as many as ``own``. ``blank``, a channel of zeros, may stand anywhere.
        own: The names that the teacher itself gives its channels, in its order.
        teacher: Its name, for the message.

    Raises:
        ConfigError: One of its own names stands where it has another.

    >>> refuse_misplaced(("DAPI", "membrane"), ("nucleus", "membrane"), teacher="model:m")
    >>> refuse_misplaced(("membrane", "nucleus"), ("nucleus", "membrane"), teacher="model:m")
    Traceback (most recent call last):
    segdistill.errors.ConfigError: Teacher 'model:m' takes its channels in the order nucleus, membrane, but was ...
    """
    pairs = zip(given, own, strict=True)
    misplaced = [(name, place) for name, place in pairs if name != place and name in own and name != BLANK]
    if not misplaced:
        return
    others = iter([name for name in given if name not in own])
    wanted = [name if name in given else next(others, name) for name in own]
    told = " and ".join(f"{name} in the place of {place}" for name, place in misplaced)
    raise ConfigError(
        f"Teacher {teacher!r} takes its channels in the order {', '.join(own)}, but was given {', '.join(given)}:"
        f" {told}. Give --teacher-channels {' '.join(wanted)}; the files' own order does not matter, for channels are"
        " found by name."
    )
