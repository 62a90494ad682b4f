"""Settings of another data set, on which students that are done are scored as they are."""

from typing import Literal

from segdistill.settings.source import Images


class Shift(Images):
    """Another data set: students are scored on it, and never trained, tuned or chosen on it."""

    student_channels: tuple[str, ...] | None = None
    """Its channels that stand for the student's, in the student's order, such as luma. None: of the same names."""

    part: Literal["all", "train", "validation", "test"] = "all"
    """Which of its images are scored, where a manifest names parts."""
