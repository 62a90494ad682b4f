"""Settings of every command: frozen models that are checked when they are made, and the folder of a run.

No module here imports torch.
"""

from typing import TYPE_CHECKING

from segdistill.plugins import lazy_exports

if TYPE_CHECKING:
    from segdistill.settings.adapt import Adapt
    from segdistill.settings.adaptation import Adaptation, Adapting
    from segdistill.settings.agglomerate import Agglomerate, Agglomerating
    from segdistill.settings.base import Settings, read_toml, validated
    from segdistill.settings.bench import Bench
    from segdistill.settings.check import Check
    from segdistill.settings.distill import Arm, Distill, Protocol
    from segdistill.settings.evaluate import Evaluate
    from segdistill.settings.export import Export
    from segdistill.settings.predict import Predict
    from segdistill.settings.pretrain import Pretrain
    from segdistill.settings.pretraining import Contrast, Masked, Pretraining, TaskSpecific
    from segdistill.settings.run_folder import RunFolder, open_run
    from segdistill.settings.shift import Shift
    from segdistill.settings.source import Images, Scored, Source
    from segdistill.settings.study import Study, StudyArm
    from segdistill.settings.synthesize import Synthesize
    from segdistill.settings.targets import Targets
    from segdistill.settings.teacher import NamedTeacher, TeacherChoice, TeacherSpec
    from segdistill.settings.tokens import TokenViews
    from segdistill.settings.training import Optimisation, Training
    from segdistill.settings.workers import Workers

__all__ = [
    "Adapt",
    "Adaptation",
    "Adapting",
    "Agglomerate",
    "Agglomerating",
    "Arm",
    "Bench",
    "Check",
    "Contrast",
    "Distill",
    "Evaluate",
    "Export",
    "Images",
    "Masked",
    "NamedTeacher",
    "Optimisation",
    "Predict",
    "Pretrain",
    "Pretraining",
    "Protocol",
    "RunFolder",
    "Scored",
    "Settings",
    "Shift",
    "Source",
    "Study",
    "StudyArm",
    "Synthesize",
    "Targets",
    "TaskSpecific",
    "TeacherChoice",
    "TeacherSpec",
    "TokenViews",
    "Training",
    "Workers",
    "open_run",
    "read_toml",
    "validated",
]

__getattr__ = lazy_exports(
    __name__,
    {
        "Adapt": "adapt",
        "Adaptation": "adaptation",
        "Adapting": "adaptation",
        "Agglomerate": "agglomerate",
        "Agglomerating": "agglomerate",
        "Arm": "distill",
        "Bench": "bench",
        "Check": "check",
        "Contrast": "pretraining",
        "Distill": "distill",
        "Evaluate": "evaluate",
        "Export": "export",
        "Images": "source",
        "Masked": "pretraining",
        "NamedTeacher": "teacher",
        "Optimisation": "training",
        "Predict": "predict",
        "Pretrain": "pretrain",
        "Pretraining": "pretraining",
        "Protocol": "distill",
        "RunFolder": "run_folder",
        "Scored": "source",
        "Settings": "base",
        "Shift": "shift",
        "Source": "source",
        "Study": "study",
        "StudyArm": "study",
        "Synthesize": "synthesize",
        "Targets": "targets",
        "TaskSpecific": "pretraining",
        "TeacherChoice": "teacher",
        "TeacherSpec": "teacher",
        "TokenViews": "tokens",
        "Training": "training",
        "Workers": "workers",
        "open_run": "run_folder",
        "read_toml": "base",
        "validated": "base",
    },
)
