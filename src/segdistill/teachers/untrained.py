"""The same network as a teacher's with weights that nobody trained: what its features must beat."""

from dataclasses import replace

import torch
from torch import nn

from segdistill.errors import ConfigError
from segdistill.teachers.contract import Teacher
from segdistill.teachers.encoder import EncoderTeacher
from segdistill.teachers.features_alone import FeaturesAlone
from segdistill.teachers.hf import HfTeacher
from segdistill.teachers.sam import SamTeacher


def untrained(teacher: Teacher, *, seed: int) -> Teacher:
    """Return a teacher of the same architecture and contract whose weights are drawn as before a training.

    Args:
        teacher: A vision encoder of transformers, one that was made here, or a SAM, perhaps asked for its features
            alone.
        seed: Of the weights.

    Raises:
        ConfigError: It is another kind of teacher, whose beginning is not known.
    """
    if isinstance(teacher, FeaturesAlone):
        inner = untrained(teacher.teacher, seed=seed)
        return replace(teacher, teacher=inner)  # pyright: ignore[reportArgumentType]  (of the same kind)
    if isinstance(teacher, EncoderTeacher):
        return teacher.drawn_anew(seed)
    if not isinstance(teacher, HfTeacher | SamTeacher):
        raise ConfigError(
            f"How the weights of teacher {teacher.contract.name!r} began is not known, so it cannot be compared with"
            " itself untrained. That can be done for hf:FOLDER, encoder:FOLDER and SAMs."
        )
    return replace(teacher, model=_drawn_anew(teacher.model, seed))  # pyright: ignore[reportArgumentType]


def _drawn_anew(model: nn.Module, seed: int) -> nn.Module:
    weight = next(model.parameters())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = type(model)(model.config)
    nn.Module.to(fresh, weight.device, weight.dtype)
    return fresh.eval().requires_grad_(False)
