"""How a teacher is asked: from settings to what loads it, and from its contract to words."""

from segdistill.settings import TeacherSpec
from segdistill.teachers.request import TeacherOptions


def options_of(spec: TeacherSpec) -> TeacherOptions:
    """Return the options with which a teacher is loaded.

    >>> options_of(TeacherSpec(teacher="sam-vit-b", channels=("DAPI",), size=512)).size
    512
    """
    return TeacherOptions(size=spec.size, precision=spec.precision)
