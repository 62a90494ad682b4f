"""Students: building, describing, saving and loading them."""

from typing import TYPE_CHECKING

from segdistill.networks.card import Halo, ModelCard, Thresholds, read_card
from segdistill.plugins import lazy_exports

if TYPE_CHECKING:
    from segdistill.networks.build import BUILTIN, Build, build_student, encoders, students
    from segdistill.networks.describe import describe_student
    from segdistill.networks.encoder_weights import load_encoder_weights
    from segdistill.networks.model import Model, load_model, save_model

_WHERE = {
    "BUILTIN": "build",
    "Build": "build",
    "Model": "model",
    "build_student": "build",
    "describe_student": "describe",
    "encoders": "build",
    "load_encoder_weights": "encoder_weights",
    "load_model": "model",
    "save_model": "model",
    "students": "build",
}
__getattr__ = lazy_exports(__name__, _WHERE)  # these need torch
__all__ = [
    "BUILTIN",
    "Build",
    "Halo",
    "Model",
    "ModelCard",
    "Thresholds",
    "build_student",
    "describe_student",
    "encoders",
    "load_encoder_weights",
    "load_model",
    "read_card",
    "save_model",
    "students",
]
