"""Frozen teachers, each with a contract of what it takes and gives."""

from typing import TYPE_CHECKING

from segdistill.plugins import lazy_exports
from segdistill.teachers.contract import (
    NO_HINT,
    Contract,
    Hint,
    Teacher,
    TokenTeacher,
    contract_from_json,
    contract_to_json,
)
from segdistill.teachers.request import Request, TeacherOptions

if TYPE_CHECKING:
    from segdistill.teachers.load import BUILTIN, PREFIXES, control_of, load_teacher
    from segdistill.teachers.sam_probe import Fit, Lesson, Probe, fit_probe, save_probe

__all__ = [
    "BUILTIN",
    "Contract",
    "Fit",
    "Hint",
    "Lesson",
    "NO_HINT",
    "PREFIXES",
    "Probe",
    "Request",
    "Teacher",
    "TeacherOptions",
    "TokenTeacher",
    "contract_from_json",
    "contract_to_json",
    "control_of",
    "fit_probe",
    "load_teacher",
    "save_probe",
]

__getattr__ = lazy_exports(
    __name__,
    {
        **dict.fromkeys(("BUILTIN", "PREFIXES", "control_of", "load_teacher"), "load"),
        **dict.fromkeys(("Fit", "Lesson", "Probe", "fit_probe", "save_probe"), "sam_probe"),
    },
)
