"""``onnx:FILE``: any network in ONNX as a teacher, described by a small TOML file beside it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float
from pydantic import Field

from segdistill.errors import ConfigError, DataError, MissingExtra, ShapeError
from segdistill.files import sha256_file
from segdistill.teachers.contract import NO_HINT, Contract, Hint, Teacher
from segdistill.teachers.description import Description, read_description, rule_of
from segdistill.teachers.request import Request, refuse_sam_only, renamed_channels

_EXAMPLE = """\
channels = ["red", "green", "blue"]
outputs = ["vessel"]
normalisation = "full-range"
activation = "sigmoid"
multiple = 32
licence = "MIT"
"""


class OnnxDescription(Description):
    """What the TOML file beside an ONNX file says."""

    file: Path | None = None
    """The ONNX file, relative to this one; None: the one of the same stem."""

    channels: tuple[str, ...] = Field(min_length=1)
    """Channels of its input, in order."""

    outputs: tuple[str, ...] = Field(min_length=1)
    """What the planes of its output mean, in order: a structure, or ``NAME.boundary``."""

    normalisation: Literal["full-range"] | tuple[float, float]
    """How pixels become 0…1: by the type's range, or by a lower and an upper percentile per channel."""

    mean: tuple[float, ...] | None = None
    """Subtracted from the 0…1, one per channel; None: nothing is."""

    deviation: tuple[float, ...] | None = None
    """Divides it then, one per channel; None: nothing does."""

    activation: Literal["sigmoid", "none"]
    """What turns its output into probabilities: ``sigmoid`` of logits, or ``none`` if they are that."""

    multiple: int = Field(default=1, ge=1)
    """Height and width must be multiples of this, pixels; images are mirrored outwards to fit."""

    tile: int | None = Field(default=2048, ge=1)
    """Images with a longer side are cut into tiles of this side, pixels."""

    input: str | None = None
    """Name of the network's input; None: its only one."""

    output: str | None = None
    """Name of the network's output; None: its first."""


@dataclass(frozen=True, eq=False)
class OnnxTeacher:
    """An ONNX network, run by onnxruntime."""

    session: Any
    contract: Contract
    description: OnnxDescription

    def maps(self, image: Float[np.ndarray, "c y x"], hint: Hint = NO_HINT) -> Float[np.ndarray, "k y x"]:  # noqa: ARG002
        """Return probabilities on the image's grid; see ``Teacher``."""
        padded, (height, width) = _padded(self._standardised(image), self.description.multiple)
        name = self.description.input or self.session.get_inputs()[0].name
        outputs = None if self.description.output is None else [self.description.output]
        scores = self.session.run(outputs, {name: padded[None].astype(np.float32)})[0]
        wanted = (1, len(self.contract.outputs), *padded.shape[1:])
        if scores.shape != wanted:
            raise ShapeError(
                f"{self.contract.name} gave an output of shape {scores.shape}, but its description promises {wanted}"
                " (batch, output, y, x). Correct its outputs, or use a network that keeps the image's size."
            )
        kept = scores[0, :, :height, :width]
        return kept if self.description.activation == "none" else 1 / (1 + np.exp(-kept))

    def _standardised(self, image: Float[np.ndarray, "c y x"]) -> Float[np.ndarray, "c y x"]:
        for sign, values in ((0, self.description.mean), (1, self.description.deviation)):
            if values is not None:
                column = np.array(values, np.float32).reshape(-1, 1, 1)
                image = image / column if sign else image - column
        return image


def build_onnx(request: Request) -> Teacher:
    """Return the teacher at ``onnx:FILE``, where FILE is the network or its description.

    Raises:
        ConfigError: The file or its description is not there.
        DataError: The description is wrong, or the network does not load.
        MissingExtra: onnxruntime is not installed.
    """
    refuse_sam_only(request, why="an ONNX file is asked as it is")
    network, described = _files(request)
    description = read_description(described, OnnxDescription)
    if description.file is not None:
        network = described.parent / description.file
    if not network.is_file():
        raise ConfigError(f"Teacher {request.name!r}: there is no file {network}. Check the path.")
    for values in (description.mean, description.deviation):
        if values is not None and len(values) != len(description.channels):
            raise ConfigError(
                f"{described}: mean and deviation need one value for each of the {len(description.channels)} channels."
            )
    contract = Contract(
        name=request.name,
        channels=renamed_channels(request, description.channels),
        rule=rule_of(description.normalisation),
        outputs=description.outputs,
        weights_sha256=f"{sha256_file(network)}+{sha256_file(described)}",
        licence=description.licence,
        stride=description.multiple,
        tile=description.tile,
        pixel_size=description.pixel_size,
        labels_seen=description.labels_seen,
        note=description.note,
    )
    return OnnxTeacher(_session(network, request.device), contract, description)


def _files(request: Request) -> tuple[Path, Path]:
    """Return the network and its description, either of which may have been named."""
    path = request.path
    described = path.with_suffix(".toml")
    if not described.is_file():
        raise ConfigError(
            f"Teacher {request.name!r} needs a description of its inputs and outputs in {described}"
            f' (or name another such file that says file = "…"). For example:\n{_EXAMPLE}'
        )
    return path.with_suffix(".onnx"), described


def _session(network: Path, device: str) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtra("onnxruntime", "export", "An onnx: teacher") from error
    providers = ["CPUExecutionProvider"]
    if device.startswith("cuda") and "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        providers.insert(0, "CUDAExecutionProvider")
    try:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors; its warnings are about how others exported the network
        return onnxruntime.InferenceSession(str(network), options, providers=providers)
    except Exception as error:  # onnxruntime's errors share no base but Exception
        raise DataError(f"{network} cannot be loaded as an ONNX network: {error}. Export it again.") from error


def _padded(image: Float[np.ndarray, "c y x"], multiple: int) -> tuple[Float[np.ndarray, "c _ _"], tuple[int, int]]:
    """Return the image mirrored outwards, below and to the right, to multiples of a number."""
    height, width = image.shape[1:]
    below, right = (-length % multiple for length in (height, width))
    return np.pad(image, ((0, 0), (0, below), (0, right)), mode="symmetric"), (height, width)
