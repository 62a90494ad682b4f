"""Where a result comes from, and the words around it: logs, versions, licences, what was left out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from segdistill.report.content.scores import Role


@dataclass(frozen=True, kw_only=True)
class LearningRun:
    """The log of one arm and seed."""

    arm: str
    """The arm's name."""

    role: Role
    """What the arm is for."""

    seed: int
    """The run's seed."""

    records: tuple[Mapping[str, Any], ...]
    """Lines of log.jsonl: ``step`` with ``loss``, ``terms``, ``weights`` and ``learning_rate``, or with
    ``validation``."""


@dataclass(frozen=True, kw_only=True)
class Headline:
    """One number of the first screen, written as it should be read."""

    value: str
    """For example "46 %"."""

    label: str
    """For example "gap closed"."""

    detail: str = ""
    """What the number means or rests on."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """A titled list of names and values, for example versions or input hashes."""

    title: str
    """Heading of the list."""

    values: Mapping[str, str]
    """Name to value."""


@dataclass(frozen=True, kw_only=True)
class Licence:
    """The terms under which something that was used may be used."""

    subject: str
    """For example "teacher sam-vit-h"."""

    licence: str
    """For example "Apache-2.0"."""

    note: str = ""
    """For example "research use only"."""


@dataclass(frozen=True, kw_only=True)
class Dropped:
    """Something that was handed in and not used."""

    what: str
    """A file, or a kind of thing."""

    why: str
    """The reason, in words."""

    count: int = 1
    """How many."""


@dataclass(frozen=True, kw_only=True)
class Convention:
    """How an awkward case is counted."""

    case: str
    """For example "label and prediction are both empty"."""

    rule: str
    """For example "Dice is 1"."""
