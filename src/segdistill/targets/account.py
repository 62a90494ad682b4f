"""What filling a store takes, and what became of it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Estimate:
    """What filling a store will take, from one timed image."""

    images: int
    """Images asked for."""

    missing: int
    """Of these, without a sound record, the timed one not counted."""

    seconds: float
    """Until they are there, in one process."""

    size: int
    """Bytes that they will take."""

    free: int
    """Bytes free on the disk."""

    def __str__(self) -> str:
        """Return the estimate as a line for people.

        >>> print(Estimate(images=40, missing=39, seconds=95.0, size=3_000_000, free=5_000_000_000))
        39 of 40 images to do: about 1 min 35 s and 3.0 MB (5.0 GB free).
        """
        minutes, seconds = divmod(round(self.seconds), 60)
        hours, minutes = divmod(minutes, 60)
        parts = [(hours, "h"), (minutes, "min"), (seconds, "s")]
        first = next((place for place, (number, _) in enumerate(parts) if number), 2)
        time = " ".join(f"{number} {unit}" for number, unit in parts[first : first + 2])
        room = f"{_size(self.size)} ({_size(self.free)} free)"
        return f"{self.missing} of {self.images} images to do: about {time} and {room}."


@dataclass(frozen=True)
class Failure:
    """An image of which the teacher said nothing; it is left out of distillation only."""

    case: str
    """Its name."""

    reason: str
    """What went wrong."""


@dataclass(frozen=True)
class Summary:
    """What became of filling a store."""

    made: int
    """Images described now."""

    kept: int
    """Images that had sound records."""

    remade: int
    """Of those made now, records that were damaged or stale."""

    failed: tuple[Failure, ...]
    """Images of which there is no record."""

    labels_read: int
    """Images whose labels the teacher was told, made now or kept: not 0 for an oracle."""

    seconds: float
    """That it took."""

    error: float
    """Largest error that storing the maps made, in all records asked for."""

    cosine: float
    """Lowest cosine of a stored token to the teacher's; 1 without tokens."""

    mean_cosine: float = 1.0
    """Mean over the records of the mean cosine of their tokens; 1 without tokens."""


def _size(number: int) -> str:
    for unit, factor in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if number >= factor:
            return f"{number / factor:.1f} {unit}"
    return f"{number} bytes"
