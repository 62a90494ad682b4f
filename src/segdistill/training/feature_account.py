"""How well one set of features is said by another, on images that were held out."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from segdistill.training.pictures import Picture
from segdistill.training.stored_teacher import StoredTeacher

Say = Callable[[Picture], Mapping[str, Float[np.ndarray, "_ _ _"]]]
"""From a view to what is said of it in each teacher's standardised features, ``y x d`` on the student's grid."""


@dataclass(frozen=True)
class Match:
    """How well a teacher's tokens are said."""

    cosine: float
    """Mean over the tokens of the cosine between the two, both less the teacher's mean: −1 to 1. Without that
    subtraction a constant would look alike."""

    error: float
    """Squared error per squared deviation from the teacher's mean: 0 is perfect, 1 as good as always saying that."""

    tokens: int
    """How many were compared."""


def match_of(pairs: Iterable[tuple[Float[np.ndarray, "... d"], Float[np.ndarray, "... d"]]]) -> Match | None:
    """Return how well tokens are said; None where there are none.

    Args:
        pairs: What is said and what was to be said, both less the teacher's mean and in its own unit.

    >>> said, wanted = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[2.0, 0.0], [1.0, 0.0]])
    >>> match_of([(said, wanted)])  # cosines 1 and 0; squared errors 1 and 2, of squares 4 and 1
    Match(cosine=0.5, error=0.6, tokens=2)
    """
    cosines, wrong, whole, count = 0.0, 0.0, 0.0, 0
    for said, wanted in pairs:
        one, other = (each.reshape(-1, each.shape[-1]).astype(np.float64) for each in (said, wanted))
        lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
        cosines += float(((one * other).sum(1) / np.where(lengths > 0, lengths, 1)).sum())
        wrong += float(((one - other) ** 2).sum())
        whole += float((other**2).sum())
        count += len(one)
    if not count:
        return None
    return Match(cosines / count, wrong / whole if whole > 0 else float(wrong > 0), count)


def match_pictures(teachers: Sequence[StoredTeacher], pictures: Sequence[Picture], say: Say) -> dict[str, Match]:
    """Return how well each teacher's features are said, by label; of teachers that spoke of any of the views.

    Args:
        teachers: What they said is read from their stores, brought to the student's grid.
        pictures: Held-out views.
        say: What is compared with it.
    """
    found: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {teacher.label: [] for teacher in teachers}
    for picture in pictures:
        speaking = [teacher for teacher in teachers if teacher.speaks_of(picture.key)]
        said = say(picture) if speaking else {}
        for teacher in speaking:
            own = teacher.standard.inverse(said[teacher.label])
            wanted = teacher.own_tokens(picture.key, picture.cells)
            found[teacher.label].append((own - teacher.mean, wanted - teacher.mean))
    matches = {label: match_of(pairs) for label, pairs in found.items()}
    return {label: match for label, match in matches.items() if match is not None}


def mean_cosine(matches: Mapping[str, Match]) -> float:
    """Return the mean over the teachers; each counts alike."""
    return float(np.mean([match.cosine for match in matches.values()]))
