"""Settings of prediction."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from segdistill.settings.base import Settings
from segdistill.settings.workers import Workers


class Asked(Settings):
    """What must be named; first, so that it can be without its option."""

    model: Path
    """Folder of the model, such as runs/first/model, or of an exported one, which predicts without PyTorch."""

    images: tuple[Path, ...]
    """Images, or folders of images, which are searched through."""

    out: Path
    """Folder for the masks."""


class Predict(Workers, Asked):
    """Segment images with a student."""

    channels: tuple[str, ...] | None = None
    """Names of the files' channels, in file order, where the files do not name them. Of a file that does, they replace
    other names, which is told; a file that has one of these names at another place is refused."""

    axes: str | None = None
    """Order of the axes in the files, where the files do not say."""

    pattern: str | None = None
    """How one file per channel is named, such as {name}_{channel}.tif."""

    tile: Annotated[int, Field(ge=64)] | None = None
    """Side of a window, pixels. None: 512, or more for a network that attends within windows."""

    halo: Annotated[int, Field(ge=0)] | None = None
    """Border of a window that is computed but not kept, pixels. None takes the model's own."""

    outputs: tuple[str, ...] = ("labels",)
    """What to write: labels (OME-TIFF of 32-bit object numbers; of a clip one for all frames, areas in 8 bits), zarr
    (the same as an OME-Zarr with a pyramid), png (the same, 16 bits), geojson (outlines for QuPath), rois (outlines for
    ImageJ), table (CSV of measurements), nifti (masks of all planes of a file in one), dicom-seg (the same, for a DICOM
    file; it names the patient, too), overlay (a clip, .avi, with the masks drawn upon the frames)."""

    probabilities: bool = False
    """Also write the probability maps."""

    pixel_size: Literal["resample", "refuse", "ignore"] = "refuse"
    """What to do with images whose pixel size differs from the training images' by more than a tenth."""

    nan: Literal["refuse", "fill"] = "refuse"
    """What to do with pixels that are not numbers: refuse the image, or take their channel's lowest value."""

    fill_missing: bool = False
    """Take tiles or chunks of which a file stores nothing for empty, as programs leave them out. Else refuse them."""

    private: bool = False
    """Call masks by pseudonyms, made from the images' own hashes, and write no name and no path of an image."""

    device: str = "auto"
    """cpu, cuda, mps, or auto for the best there is."""

    backend: str | None = None
    """What runs an exported model, such as openvino-int8. None tries those in its folder and takes the fastest."""
