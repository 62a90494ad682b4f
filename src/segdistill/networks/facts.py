"""How large every student is and how far it sees, measured beforehand: looking it up needs no torch."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FACTS = Path(__file__).with_name("students.json")
"""Written by scripts/describe_students.py."""

CHANNELS, OUTPUTS = 1, 2
"""Of the students that were measured: one channel; the foreground of one structure and its boundary."""

LIMIT = 512
"""Reaches beyond this are not told apart, pixels."""


@dataclass(frozen=True, kw_only=True)
class KnownStudent:
    """A student that this package can build."""

    name: str
    """As ``build_student`` takes it."""

    short: bool
    """Whether it is one of the few with a name of their own."""

    parameters: int
    """All weights that training changes."""

    encoder_parameters: int
    """Those of the encoder."""

    gigamacs_per_megapixel: float
    """Multiply-adds, 10⁹ per 10⁶ pixels."""

    stride: int
    """Pixels per step of the coarsest grid."""

    reach: int | None
    """Pixels by which tiles must overlap their surroundings to be exact; None: more than ``LIMIT``, or no number."""


@cache
def known_students() -> tuple[KnownStudent, ...]:
    """Return every student, those with short names first, then by number of parameters.

    >>> [student.name for student in known_students() if student.short][0]
    'unet-tiny'
    """
    facts = json.loads(FACTS.read_text(encoding="utf-8"))
    others = sorted(facts["students"].keys() - set(facts["short"]), key=lambda n: facts["students"][n]["parameters"])
    return tuple(
        KnownStudent(name=name, short=name in facts["short"], **facts["students"][name])
        for name in (*facts["short"], *others)
    )
