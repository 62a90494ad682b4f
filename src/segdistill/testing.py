"""Checks that every part of a kind must pass, ours and those of other packages.

Authors of a plugin call these from a test of their own; a broken promise raises AssertionError
that says which.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int32, Shaped
from torch import Tensor, nn

from segdistill.data.image import ImageSource
from segdistill.data.labels import BOUNDARY
from segdistill.data.readers.opening import Reader
from segdistill.errors import ShapeError
from segdistill.teachers.contract import (
    Contract,
    Hint,
    Teacher,
    TokenTeacher,
    contract_from_json,
    contract_to_json,
)

__all__ = ["check_reader", "check_student", "check_teacher"]

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


def check_teacher(teacher: Teacher, *, case: str | None = None, shape: tuple[int, int] = (40, 56)) -> None:
    """Check that a teacher keeps its contract.

    A teacher gives one finite probability per output and pixel on the image's own grid, at any size
    that its contract allows; the same ones when it is asked again; it leaves the image alone; its
    contract can be written down; and token grids have the widths that the contract states.

    Args:
        teacher: Any. It is given random pixels, and labels of its own structures if it needs labels.
        case: Name of a case that it knows, for teachers whose contract needs one. Its size alone is tried.
        shape: Size (y, x) of that case, or of the image that is tried first; pixels.

    Raises:
        AssertionError: A promise is broken; the message says which.

    >>> from segdistill.teachers import load_teacher
    >>> check_teacher(load_teacher("sam-tiny-tissue-control"))
    """
    contract = teacher.contract
    read_back = contract_from_json(json.loads(json.dumps(contract_to_json(contract))))
    _promise(read_back == contract, "its contract is another when it has been written as JSON and read")
    known = "case" in contract.needs
    _promise(not known or case is not None, "it needs to be told a case: name one that it knows, and its size")
    for size in [shape] if known else [shape, (1, 1), (7, 13)]:
        _check_maps(teacher, _random_image(contract, size), Hint(case=case, labels=_some_labels(contract, size)))
    if contract.tokens:
        _check_tokens(teacher, _random_image(contract, shape))


def _random_image(contract: Contract, shape: tuple[int, int]) -> Shaped[np.ndarray, "c y x"]:
    return np.random.default_rng(0).random((len(contract.channels), *shape), dtype=np.float32)


def _some_labels(contract: Contract, shape: tuple[int, int]) -> Mapping[str, Int32[np.ndarray, "y x"]]:
    """Return two objects of each structure that a teacher gives, for one that needs labels."""
    if not contract.oracle:
        return {}
    plane = np.zeros(shape, np.int32)
    plane[: shape[0] // 3 + 1, : shape[1] // 2 + 1] = 7
    plane[shape[0] // 2 + 1 :, shape[1] // 3 :] = 9
    return {name: plane for name in contract.outputs if not name.endswith(BOUNDARY)}


def _check_maps(teacher: Teacher, image: Shaped[np.ndarray, "c y x"], hint: Hint) -> None:
    size = f"{image.shape[1]} × {image.shape[2]} px"
    before = image.copy()
    maps = teacher.maps(image, hint)
    wanted = (len(teacher.contract.outputs), *image.shape[1:])
    _promise(maps.shape == wanted, f"maps of an image of {size} have shape {maps.shape} instead of {wanted}")
    _promise(maps.dtype == np.float32, f"maps are of type {maps.dtype} instead of float32")
    _promise(bool(np.isfinite(maps).all()), f"maps of an image of {size} are not finite")
    _promise(bool((maps >= 0).all() and (maps <= 1).all()), "maps are no probabilities: some are outside of 0…1")
    _promise(np.array_equal(image, before), "it changes the image that it is given")
    _promise(np.array_equal(teacher.maps(image, hint), maps), "the same image gets other maps the second time")


def _check_tokens(teacher: Teacher, image: Shaped[np.ndarray, "c y x"]) -> None:
    stated = teacher.contract.tokens
    if not isinstance(teacher, TokenTeacher):
        raise AssertionError(f"its contract names tokens ({', '.join(stated)}), but it has no method tokens")
    grids = teacher.tokens(image, tuple(stated))
    _promise(set(grids) == set(stated), f"it gives tokens {sorted(grids)} instead of {sorted(stated)}")
    for name, grid in grids.items():
        fits = grid.ndim == 3 and grid.shape[2] == stated[name][1]
        _promise(fits, f"tokens {name!r} have shape {grid.shape} instead of (y, x, {stated[name][1]})")
        _promise(grid.dtype == np.float32, f"tokens {name!r} are of type {grid.dtype} instead of float32")
        _promise(bool(np.isfinite(grid).all()), f"tokens {name!r} are not finite")


def check_reader(reader: Reader, path: Path, pixels: Shaped[np.ndarray, "c y x"]) -> None:
    """Check that a reader gives what a file holds, whole and by windows.

    Args:
        reader: As ``segdistill.data.readers.opening.Reader``.
        path: A file of its format that names its axes. Nothing is written to it.
        pixels: What the file holds, of at least 2 × 3 pixels; rather not square, no two lines or columns alike.

    Raises:
        AssertionError: A promise is broken; the message says which.
    """
    count, height, width = pixels.shape
    with reader(path, channels=None, axes=None, fill_missing=False) as opened:
        _promise(isinstance(opened, ImageSource), f"{type(opened).__name__} lacks a part of ImageSource")
        _promise(opened.shape == pixels.shape, f"the shape is {opened.shape} instead of {pixels.shape} (c, y, x)")
        _promise(len(set(opened.channels)) == count, f"{count} channels have the names {opened.channels}")
        _promise(str(path) in opened.source, f"messages would call the file {opened.source!r} instead of {path}")
        whole = opened.read()
        _promise(whole.dtype == opened.dtype == pixels.dtype, f"pixels are {whole.dtype} instead of {pixels.dtype}")
        _promise(np.array_equal(whole, pixels), "the pixels are not what the file holds")
        window = (slice(height // 2, height), slice(1, width // 2 + 1))
        _promise(np.array_equal(opened.read(window), pixels[:, *window]), "a window holds other pixels than its place")
        try:
            opened.read((slice(0, height + 1), slice(0, width)))
        except ShapeError:
            pass
        else:
            raise AssertionError("a window that leaves the image is not refused with a ShapeError")
    opened.close()  # closing again does nothing
    names = tuple(f"name {number}" for number in range(count))
    with reader(path, channels=names, axes=None, fill_missing=False) as opened:
        _promise(tuple(opened.channels) == names, "names that are given do not override the file's own")


def _close(one: Tensor, other: Tensor) -> bool:
    scale = max(float(other.abs().max()), 1e-3)
    return bool(((one - other).abs() <= 1e-4 * scale).all())


def _promise(kept: bool, otherwise: str) -> None:
    if not kept:
        raise AssertionError(otherwise)
