"""Settings of the check of a data set."""

from typing import Literal

from segdistill.settings.base import Settings


class Check(Settings):
    """How to read a data set, and what it must offer."""

    channels: tuple[str, ...] | None = None
    """Names of the files' channels, in file order, where the files do not name them."""

    axes: str | None = None
    """Order of the axes in the files, such as cyx, where the files do not say."""

    pattern: str | None = None
    """How one file per channel is named, such as {name}_{channel}.tif."""

    fill_missing: bool = False
    """Take tiles or chunks of which a file stores nothing for empty, as programs leave them out. Else refuse them."""

    nan: Literal["refuse", "fill"] = "refuse"
    """Whether pixels that are not numbers make an image unusable, or take their channel's lowest value."""

    label_kind: Literal["instances", "binary", "classes", "bits"] | None = None
    """What the values of label images mean, where it cannot be seen from them."""

    structure: str = "cell"
    """Name of what is labelled, where labels/ has no sub-folder that names it."""

    student_channels: tuple[str, ...] = ()
    """Channels that every image must have for a student. Empty: not checked."""

    teacher_channels: tuple[str, ...] = ()
    """Channels that every image must have for a teacher. Empty: not checked."""

    near_duplicates: bool = True
    """Also look for images that show the same thing though their pixels differ."""
