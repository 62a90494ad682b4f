"""What a report says of the data that a run was made on."""

from dataclasses import dataclass

from segdistill.report.check_content import Balance


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part of the split."""

    name: str
    """"train", "validation" or "test"."""

    images: int
    """Images in it."""

    labelled: int
    """Those that carry any label."""

    groups: int
    """Groups that they belong to."""

    empty: int
    """Labelled images on which nothing is marked."""


@dataclass(frozen=True, kw_only=True)
class Doubles:
    """Images that show the same thing."""

    nearly: bool
    """Whether their pixels differ."""

    images: tuple[tuple[str, str], ...]
    """Name and part of the split of each."""

    @property
    def across(self) -> bool:
        """Whether they lie in several parts, so that scores flatter."""
        return len({part for _, part in self.images}) > 1


@dataclass(frozen=True, kw_only=True)
class Suspect:
    """A case to look at first."""

    name: str
    """Of the case."""

    part: str
    """Of the split, in which it is."""

    reasons: tuple[str, ...]
    """Why, the gravest first."""


@dataclass(frozen=True, kw_only=True)
class DataCheck:
    """The data of a run, as a survey found it when the run began."""

    parts: tuple[Part, ...]
    """Of the split; over all images."""

    looked_at: int
    """Images whose files were surveyed: all, or a sample that is evenly spread."""

    facts: tuple[tuple[str, str], ...]
    """What, and what was found: sizes, types, pixel sizes."""

    suspects: tuple[Suspect, ...]
    """Cases to look at first, the gravest first."""

    more_suspects: int
    """Further ones that are not named."""

    doubles: tuple[Doubles, ...]
    """Those across parts first."""

    balance: tuple[Balance, ...]
    """One per structure."""

    remarks: tuple[str, ...]
    """What else should be known."""

    @property
    def images(self) -> int:
        """All images of the split."""
        return sum(part.images for part in self.parts)
