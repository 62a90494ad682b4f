"""How large a student is and what it costs, before it is trained."""

import copy
from typing import TypedDict

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from segdistill.networks.build import build_student

_SIDE = 512


class StudentFacts(TypedDict):
    """The size and cost of a student."""

    parameters: int
    """All weights that training changes."""

    encoder_parameters: int | None
    """Those of the encoder; None for another package's student without one."""

    gigamacs_per_megapixel: float
    """Multiply-adds, 10⁹ per 10⁶ pixels."""

    stride: int | None
    """Pixels per step of the coarsest grid; None for another package's student that does not say."""

    grid: int | None
    """Multiples on which parts of an image begin, pixels; None as above."""


def describe_student(name: str, *, channels: int, outputs: int) -> StudentFacts:
    """Return a student's parameter counts, its cost and its stride.

    The cost is that of convolutions and matrix products, counted on an image of 512 × 512 pixels;
    padding to attention windows is included. No pixel is computed.

    Args:
        name: As ``build_student`` takes it.
        channels: Channels of the image.
        outputs: Score maps.

    Raises:
        UnknownName: No student has this name.

    >>> facts = describe_student("unet-resnet18", channels=1, outputs=3)
    >>> facts["encoder_parameters"], facts["parameters"], round(facts["gigamacs_per_megapixel"])
    (11170240, 14322227, 81)
    """
    with torch.random.fork_rng(devices=[]):  # describing must not change what the caller draws next
        student = build_student(name, channels=channels, outputs=outputs)
    encoder = getattr(student, "encoder", None)
    return {
        "parameters": count_parameters(student),
        "encoder_parameters": count_parameters(encoder) if isinstance(encoder, nn.Module) else None,
        "gigamacs_per_megapixel": count_macs(student, channels=channels, side=_SIDE) / _SIDE**2 / 1e3,
        "stride": getattr(student, "stride", None),
        "grid": getattr(student, "grid", None),
    }


def count_parameters(module: nn.Module) -> int:
    """Return the number of weights that training changes.

    >>> count_parameters(nn.Conv2d(2, 4, 3))
    76
    """
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


def count_macs(module: nn.Module, *, channels: int, side: int) -> int:
    """Return the multiply-adds of convolutions and matrix products for one square image.

    Args:
        module: Takes ``1 channels side side``. It is not changed.
        channels: Of the image.
        side: Of the image, pixels.

    >>> count_macs(nn.Conv2d(2, 4, 3, padding=1), channels=2, side=8)  # 8·8 pixels · 2·4 planes · 3·3
    4608
    """
    shapes_only = copy.deepcopy(module).eval().to("meta")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        shapes_only(torch.empty(1, channels, side, side, device="meta"))
    return counter.get_total_flops() // 2
