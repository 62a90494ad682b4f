"""Settings of the check of a data set."""

from pathlib import Path

from segdistill.settings.source import Reading


class Check(Reading):
    """How to read a data set, and what it must offer."""

    student_channels: tuple[str, ...] = ()
    """Channels that every image must have for a student. Empty: not checked."""

    teacher_channels: tuple[str, ...] = ()
    """Channels that every image must have for a teacher. Empty: not checked."""

    near_duplicates: bool = True
    """Also look for images that show the same thing though their pixels differ."""

    page: Path = Path("check.html")
    """The page with pictures. It replaces an older such page, and no other file."""

    private: bool = False
    """Write pseudonyms in place of image and group names, and no path of the data, onto the page; images that seem to
    be written on are not shown. A pseudonym is the beginning of its file's SHA-256."""
