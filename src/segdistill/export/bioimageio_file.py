"""A package for the bioimage.io model zoo and the programs that read it: deepImageJ, QuPath, ilastik, napari."""

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from torch import nn

from segdistill.export.graph import Graph
from segdistill.export.onnx_file import quiet
from segdistill.export.torch_files import load_torchscript, write_torchscript
from segdistill.files import whole_file
from segdistill.networks.card import ModelCard
from segdistill.networks.page import page

FORMAT_VERSION = "0.5.3"
"""Of the description; https://github.com/bioimage-io/spec-bioimage-io."""

WEIGHTS = "weights.torchscript"

_SHAPE = (256, 320)
"""Of the test image, pixels."""

_LEAST = 64
"""Sides from which on images may be given, pixels."""

_METHOD = {"text": "The method of distillation", "url": "https://arxiv.org/abs/2606.00928"}


@dataclass(frozen=True)
class Shared:
    """What a package says of its makers."""

    authors: tuple[str, ...]
    """Names, at least one."""

    licence: str
    """Under which it is shared, as SPDX names it."""


def write_bioimageio(path: Path, graph: Graph, card: ModelCard, shared: Shared, scratch: Path) -> str:
    """Write a package, and return by what, in words.

    It holds TorchScript that measures its own percentiles, a description, the model's page, and a test image with the
    answer to it. That image is drawn, not taken from anybody's data. Objects are told apart by the program that opens
    it, or by `segdistill predict`: the package gives probabilities, and names the thresholds.

    Args:
        path: Of the zip.
        graph: The network.
        card: The student's.
        shared: What is said of its makers.
        scratch: A folder for what goes into the zip.

    Source:
        Ouyang et al. 2022, BioImage Model Zoo, doi:10.1101/2022.06.07.495102.
    """
    made_by = write_torchscript(scratch / WEIGHTS, graph, card)
    image = drawn_image(len(card.channels))
    with torch.no_grad():
        answer = load_torchscript(scratch / WEIGHTS)(torch.from_numpy(image)).numpy()
    parameters = sum(weight.numel() for weight in graph.parameters())
    contents = {
        "rdf.yaml": json.dumps(description(card, shared), indent=1, ensure_ascii=False).encode(),  # JSON is YAML
        "README.md": (page(card, parameters=parameters) + _VALIDATION).encode(),
        "input.npy": _npy(image),
        "output.npy": _npy(answer),
        WEIGHTS: (scratch / WEIGHTS).read_bytes(),
    }
    with whole_file(path) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in contents.items():
            package.writestr(zipfile.ZipInfo(name), content)  # without a date: equal contents, equal bytes
    return f"{made_by}; description {FORMAT_VERSION}, try it with `bioimageio test`"


_VALIDATION = """
## Validation

The report of the run that made this model says how it scored on fields that it was not trained on. This file was
compared with the model on real images before it was kept. Try it on images of your own before you trust it.
"""


def description(card: ModelCard, shared: Shared) -> dict[str, Any]:
    """Return what rdf.yaml says."""
    structures = ", ".join(structure.name for structure in card.structures)
    channels = ", ".join(card.channels)
    learnt = "labels alone" if card.teacher is None else f"labels and what {card.teacher} said of images"
    return {
        "type": "model",
        "format_version": FORMAT_VERSION,
        "name": _plain(f"{structures} from {channels}"),
        "description": f"{card.architecture}, which learnt from {learnt}. Gives a probability for each output.",
        "authors": [{"name": name} for name in shared.authors],
        "cite": [_METHOD],
        "license": shared.licence,
        "documentation": "README.md",
        "tags": ["segmentation", "segdistill", *(_plain(structure.name) for structure in card.structures)],
        "inputs": [
            {
                "id": "image",
                "description": "Pixels as the file has them; low and high are measured inside.",
                "axes": _axes(card.channels, {"y": {"min": _LEAST, "step": 1}, "x": {"min": _LEAST, "step": 1}}),
                "test_tensor": {"source": "input.npy"},
                "data": {"type": "float32"},
            }
        ],
        "outputs": [
            {
                "id": "probabilities",
                "description": "One map per output: foreground, and where objects are told apart their borders.",
                "axes": _axes(card.outputs, {axis: {"tensor_id": "image", "axis_id": axis} for axis in ("y", "x")}),
                "test_tensor": {"source": "output.npy"},
                "data": {"type": "float32", "range": [0.0, 1.0]},
            }
        ],
        "weights": {"torchscript": {"source": WEIGHTS, "pytorch_version": torch.__version__.partition("+")[0]}},
        "config": {
            "segdistill": {
                "channels": list(card.channels),
                "thresholds": card.model_dump(mode="json")["thresholds"],
                "pixel_size": card.pixel_size,
                "licences": list(card.licences),
                "weights_sha256": card.weights_sha256,
            }
        },
    }


def drawn_image(channels: int) -> Float32[np.ndarray, "b c y x"]:
    """Return a picture of blurred spots, in 16 bits' range, always the same."""
    from scipy import ndimage

    noise = np.random.default_rng(0).standard_normal((1, channels, *_SHAPE))
    spots = ndimage.gaussian_filter(noise, (0, 0, 6, 6))
    return (20_000 + 8_000 * spots / spots.std() + 500 * noise).clip(0, 65_535).astype(np.float32)


def load_bioimageio(path: Path) -> nn.Module:
    """Return the TorchScript module of a package, ready."""
    with zipfile.ZipFile(path) as package, quiet():
        return torch.jit.load(io.BytesIO(package.read(WEIGHTS)))


def shared_of(path: Path) -> Shared:
    """Return what a package says of its makers."""
    with zipfile.ZipFile(path) as package:
        said = json.loads(package.read("rdf.yaml"))
    return Shared(tuple(author["name"] for author in said["authors"]), said["license"])


def _axes(names: tuple[str, ...], sizes: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    space = [{"type": "space", "id": axis, "size": size} for axis, size in sizes.items()]
    return [{"type": "batch"}, {"type": "channel", "channel_names": [_word(name) for name in names]}, *space]


def _npy(array: np.ndarray) -> bytes:
    held = io.BytesIO()
    np.save(held, array)
    return held.getvalue()


def _plain(text: str) -> str:
    """Return a name of what the zoo allows in one: letters, digits, spaces and a few signs, 5 to 128 of them.

    >>> _plain("cell (α)"), _plain("a")
    ('cell (_)', 'a from segdistill')
    """
    allowed = "".join(sign if sign.isascii() and (sign.isalnum() or sign in "+- _.()/,") else "_" for sign in text)
    return (allowed if len(allowed) >= 5 else f"{allowed} from segdistill")[:128]


def _word(name: str) -> str:
    """Return a name as an identifier.

    >>> _word("left lung"), _word("4 colours")
    ('left_lung', '_4_colours')
    """
    word = "".join(sign if sign.isascii() and (sign.isalnum() or sign == "_") else "_" for sign in name)
    return word if word and not word[0].isdigit() else f"_{word}"
