"""How images are segmented."""

from dataclasses import dataclass
from typing import Literal

PixelSizePolicy = Literal["resample", "refuse", "ignore"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """How images are segmented."""

    channels: tuple[str, ...] | None = None
    """Names of the files' channels, in file order. None takes the files' own."""

    axes: str | None = None
    """Order of the files' axes. None takes the files' own."""

    pattern: str | None = None
    """How the files of a folder are named, with ``{name}`` and ``{channel}``, where each channel has its own."""

    tile: int | None = None
    """Side of a window, pixels. None: ``usual_side`` of the network's grid, 512 for most."""

    halo: int | None = None
    """Border of a window that is computed and not kept, pixels. None takes the model's fast halo."""

    outputs: tuple[str, ...] = ("labels",)
    """What is written of the masks: ``NAMES`` of ``segdistill.inference.outputs``."""

    probabilities: bool = False
    """Whether the probability maps are written too."""

    pixel_size: PixelSizePolicy = "refuse"
    """What becomes of images whose pixel size is not the model's: see ``at_model_scale``."""

    fill_non_finite: bool = False
    """Whether pixels that are not numbers are taken for the lowest value; otherwise they are refused."""

    fill_missing: bool = False
    """Whether tiles or chunks of which a file stores nothing are empty on purpose; otherwise they are refused."""

    private: bool = False
    """Whether masks are called by pseudonyms of the images, of which no name and no path is written."""

    device: str = "auto"
    """"cpu", "cuda", "mps", or "auto" for the best there is."""

    backend: str | None = None
    """What runs an exported model: one of the formats in its folder. None takes the fastest."""
