"""What the page of a check is handed."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True, kw_only=True)
class CheckPicture:
    """One case on the contact sheet."""

    name: str
    """Of the case."""

    uri: str
    """Its picture, as ``contact_picture`` makes it."""

    words: str
    """Size, channels and objects, in a line."""

    reasons: tuple[str, ...] = ()
    """Why to look at it first, the gravest first; empty: nothing is odd about it."""


@dataclass(frozen=True, eq=False, kw_only=True)
class ChannelHistograms:
    """One channel of several images, before and after normalisation."""

    channel: str
    """Its name."""

    stored: Mapping[str, Float[np.ndarray, " bins"]]
    """Case to the share of its pixels in each of the bins, which part ``low`` to ``high`` evenly."""

    low: float
    """Lowest number of any of these images."""

    high: float
    """Highest number of any."""

    normalised: Mapping[str, Float[np.ndarray, " bins"]]
    """The same after normalisation, over 0 to 1."""


@dataclass(frozen=True, kw_only=True)
class Balance:
    """How much there is of one thing that is labelled."""

    label_set: str
    """Where it is labelled."""

    structure: str
    """Its name, or number, in the label files."""

    images: int
    """Images in which it occurs."""

    of_images: int
    """Images that are labelled for it."""

    share: float
    """Of all pixels of these, fraction."""

    objects: int | None = None
    """How many objects there are; None: single objects are not told apart."""

    median_size: float | None = None
    """Median size of an object, pixels; None as above, or there is none."""


@dataclass(frozen=True, kw_only=True)
class CheckContent:
    """Everything that was found out about a data set."""

    data: str
    """Where it is."""

    made: str
    """When, and by which version."""

    facts: tuple[tuple[str, str], ...]
    """What, and what was found."""

    faults: tuple[str, ...]
    """Everything that cannot be used; each names its file."""

    remarks: tuple[str, ...]
    """What is no fault but should be known."""

    odd: tuple[CheckPicture, ...]
    """Cases to look at first, the gravest first."""

    pictures: tuple[CheckPicture, ...]
    """Other cases."""

    left_out: int
    """Cases without a picture, for want of room."""

    histograms: tuple[ChannelHistograms, ...]
    """One per channel."""

    balance: tuple[Balance, ...]
    """One per structure."""

    images: tuple[tuple[str, str, str, str, str], ...]
    """Case, size, type, pixel size, channels."""
