"""What terms come to: whether what is made from something is for research alone."""

import re
from collections.abc import Iterable

NOT_STATED = "not stated"
"""Where nobody said under which terms images may be used."""

RESEARCH_ONLY = "research use only"

_BOUND = re.compile(r"non-?commercial|\bNC\b|\bresearch\b|\bacademic\b|not for commercial", re.IGNORECASE)


def is_research_only(licence: str) -> bool:
    """Return whether the words of a licence keep to research, or away from commerce, what is made of a thing.

    It reads words, and knows no law: what it does not recognise may be bound all the same.

    >>> [is_research_only(each) for each in ("CC-BY-NC-SA-4.0", "Apache-2.0: non-commercial", "MIT", "CC0-1.0")]
    [True, True, False, False]
    """
    return _BOUND.search(licence) is not None


def research_note(licences: Iterable[str]) -> tuple[str, ...]:
    """Return a sentence that names the terms that keep a thing to research; nothing where none does.

    >>> research_note(["teacher a: MIT", "data: CC-BY-NC-4.0"])
    ('Research use only, for it was made from: data: CC-BY-NC-4.0.',)
    """
    bound = [licence for licence in dict.fromkeys(licences) if is_research_only(licence)]
    return (f"{RESEARCH_ONLY.capitalize()}, for it was made from: {'; '.join(bound)}.",) if bound else ()
