"""The usual settings of a job and of a study on the small tissue of `conftest`; child processes import them too."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segdistill.settings import Distill, Study, validated

PROTOCOL = {"steps": 2, "batch_size": 2, "crop": 32, "validations": 1}
DATA = {"label_sets": ("cell",), "label_kind": "instances", "split": (0.5, 0.25, 0.25), "device": "cpu"}
JOB: Mapping[str, Any] = {
    **DATA,
    "teacher": "sam-tiny-tissue",
    "teacher_channels": ("nucleus", "membrane"),
    "student": "unet-tiny",
    "student_channels": ("nucleus",),
    "labels": 2,
    "protocol": PROTOCOL,
}
TEACHERS = {
    "full": {"teacher": "sam-tiny-tissue", "channels": ("nucleus", "membrane")},
    "nucleus": {"teacher": "sam-tiny-tissue-control", "channels": ("nucleus",)},
    "shuffled": {"teacher": "sam-tiny-tissue", "channels": ("nucleus", "membrane"), "shuffled": ("membrane",)},
}
ARMS = ({"name": "baseline"}, {"name": "student", "teacher": "full"})
STUDY: Mapping[str, Any] = {
    **DATA,
    "student_channels": ("nucleus",),
    "students": ("unet-tiny",),
    "teachers": TEACHERS,
    "arms": ARMS,
    "labels": (2, "all"),
    "seeds": (0,),
    "protocol": PROTOCOL,
}


def job(data: Path, out: Path, **changes: Any) -> Distill:
    """Return the settings of a job, some of them changed."""
    return validated(Distill, {"data": data, "out": out, **JOB, **changes})


def plan(data: Path, out: Path, **changes: Any) -> Study:
    """Return the settings of a study, some of them changed."""
    return validated(Study, {"data": data, "out": out, **STUDY, **changes})
