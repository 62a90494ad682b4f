"""Checks that every part of a kind must pass, ours and those of other packages.

Authors of a plugin call these from a test of their own; a broken promise raises AssertionError
that says which.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

__all__ = ["check_student"]

_CHANNELS, _OUTPUTS = 2, 3
_SHAPES = ((1, 1), (7, 13), (1, 517), (96, 61), (32, 48))


def check_student(build: Callable[[int, int], nn.Module]) -> None:
    """Check that a builder keeps the promises of a student.

    A student takes an image of any size and any number of channels and gives one finite score per
    output and pixel; in use its scores depend on the image alone, not on its batch or on chance;
    every weight learns; and its state is all there is to save.

    Args:
        build: Makes a student of (channels, outputs), as ``segdistill.networks.Build``. Called a
            few times, with small numbers.

    Raises:
        AssertionError: A promise is broken; the message says which.

    >>> check_student(lambda channels, outputs: nn.Conv2d(channels, outputs, 3, padding=1))
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        student = build(_CHANNELS, _OUTPUTS)
        _check_gradients(student)
        student.eval()
        with torch.inference_mode():
            _check_sizes(student)
            _check_channels(build)
            _check_alone(student)
            _check_state(student, build(_CHANNELS, _OUTPUTS).eval())


def _check_gradients(student: nn.Module) -> None:
    student.train()
    student(torch.rand(2, _CHANNELS, 64, 96)).square().mean().backward()
    learning = {name: weight for name, weight in student.named_parameters() if weight.requires_grad}
    unreached = [name for name, weight in learning.items() if weight.grad is None]
    _promise(not unreached, f"no gradient reaches {', '.join(unreached)}")
    broken = [name for name, weight in learning.items() if not torch.isfinite(weight.grad).all()]  # pyright: ignore[reportArgumentType]
    _promise(not broken, f"the gradient of {', '.join(broken)} is not finite")
    student.zero_grad()


def _check_sizes(student: nn.Module) -> None:
    for height, width in _SHAPES:
        scores = student(torch.rand(2, _CHANNELS, height, width))
        wanted = (2, _OUTPUTS, height, width)
        _promise(tuple(scores.shape) == wanted, f"scores have shape {tuple(scores.shape)} instead of {wanted}")
        _promise(bool(torch.isfinite(scores).all()), f"scores of an image of {height} × {width} px are not finite")


def _check_channels(build: Callable[[int, int], nn.Module]) -> None:
    scores = build(5, 1).eval()(torch.rand(1, 5, 40, 33))
    _promise(tuple(scores.shape) == (1, 1, 40, 33), f"5 channels and 1 output give scores of {tuple(scores.shape)}")


def _check_alone(student: nn.Module) -> None:
    images = torch.rand(3, _CHANNELS, 40, 56)
    scores = student(images)
    _promise(torch.equal(student(images), scores), "the same images get other scores the second time")
    alone = student(images[1:2])
    _promise(_close(alone, scores[1:2]), "an image's scores depend on the batch it is in")
    _promise(not _close(scores[:1], scores[1:2]), "two different images get the same scores")


def _check_state(student: nn.Module, other: nn.Module) -> None:
    image = torch.rand(1, _CHANNELS, 40, 56)
    other.load_state_dict(student.state_dict())
    _promise(_close(other(image), student(image)), "a student loaded from another's state gives other scores")


def _close(one: Tensor, other: Tensor) -> bool:
    scale = max(float(other.abs().max()), 1e-3)
    return bool(((one - other).abs() <= 1e-4 * scale).all())


def _promise(kept: bool, otherwise: str) -> None:
    if not kept:
        raise AssertionError(otherwise)
