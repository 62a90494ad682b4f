"""Students: building, describing, saving and loading them."""

from typing import TYPE_CHECKING

from segdistill.networks.card import Halo, ModelCard, Thresholds, read_card
from segdistill.plugins import lazy_exports

if TYPE_CHECKING:
    from segdistill.networks.build import BUILTIN, Build, build_student, encoders, students
    from segdistill.networks.describe import describe_student
    from segdistill.networks.encoder_weights import load_encoder_weights
    from segdistill.networks.model import Model, load_model, save_model
    from segdistill.networks.projection import MaskedGenerator, Projection, WithProjections, resample_grid
    from segdistill.networks.tokens import TokenEncoder, build_token_encoder, times_smaller, token_encoder

_WHERE = {
    "BUILTIN": "build",
    "Build": "build",
    "Model": "model",
    "MaskedGenerator": "projection",
    "Projection": "projection",
    "TokenEncoder": "tokens",
    "WithProjections": "projection",
    "build_student": "build",
    "build_token_encoder": "tokens",
    "describe_student": "describe",
    "encoders": "build",
    "load_encoder_weights": "encoder_weights",
    "load_model": "model",
    "resample_grid": "projection",
    "save_model": "model",
    "students": "build",
    "times_smaller": "tokens",
    "token_encoder": "tokens",
}
__getattr__ = lazy_exports(__name__, _WHERE)  # these need torch
__all__ = [
    "BUILTIN",
    "Build",
    "Halo",
    "MaskedGenerator",
    "Model",
    "ModelCard",
    "Projection",
    "Thresholds",
    "TokenEncoder",
    "WithProjections",
    "build_student",
    "build_token_encoder",
    "describe_student",
    "encoders",
    "load_encoder_weights",
    "load_model",
    "read_card",
    "resample_grid",
    "save_model",
    "students",
    "times_smaller",
    "token_encoder",
]
