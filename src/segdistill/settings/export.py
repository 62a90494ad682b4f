"""Settings of an export."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from segdistill.settings.base import Settings

FormatName = Literal[
    "onnx", "openvino-fp32", "openvino-bf16", "openvino-int8", "torch-export", "torchscript", "bioimageio"
]


class Export(Settings):
    """Write a student for other runtimes, and prove each equal on real images."""

    model: Path
    """Folder of the model, such as runs/first/model."""

    out: Path
    """Folder for the exported model."""

    formats: Annotated[tuple[FormatName, ...], Field(min_length=1)] = ("onnx", "openvino-fp32")
    """Which files to write."""

    check: tuple[Path, ...] = ()
    """Real images, or folders of them, on which each format is compared with the student. Empty: those of
    calibration."""

    calibration: tuple[Path, ...] = ()
    """Images, or folders of them, from which int8 takes the ranges of its numbers: training or validation images. Not
    test images, or their scores no longer tell what new images will get; nobody but you can know which those are."""

    tile: Annotated[int, Field(ge=64)] | None = None
    """Side of a window, pixels. None: 512, or more for a network that attends within windows."""

    authors: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Who made the model, by name: a bioimageio package must say so."""

    licence: Annotated[str, Field(pattern=r"^[A-Za-z0-9.+-]+$")] | None = None
    """Licence under which a bioimageio package is shared, as SPDX names it, such as CC-BY-4.0. Those of teachers and
    data, in the model's card, may forbid some."""

    @model_validator(mode="after")
    def _says_who_shares(self) -> "Export":
        packaged = "bioimageio" in self.formats
        if packaged and not (self.authors and self.licence):
            raise ValueError(
                'a bioimageio package must say who made it and how it may be used: add --authors "A. Name" and'
                " --licence CC-BY-4.0, or whichever you may give it"
            )
        if not packaged and (self.authors or self.licence):
            raise ValueError("authors and licence are said in a bioimageio package alone, which is not among --formats")
        return self

    @model_validator(mode="after")
    def _has_images(self) -> "Export":
        if "openvino-int8" in self.formats and not self.calibration:
            raise ValueError(
                "openvino-int8 takes the ranges of its numbers from images: name training or validation images with"
                " --calibration FOLDER, or leave it out of --formats"
            )
        if not self.check and not self.calibration:
            raise ValueError(
                "each format is compared with the student on real images: name some, such as validation images, with"
                " --check FOLDER"
            )
        return self
