import csv
import json

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image as Pillow
from scipy.spatial import cKDTree
from torch import nn

from segdistill.data.labels import Structure
from segdistill.networks.card import ModelCard
from segdistill.networks.model import Model

CELL = Structure("cell", instances=True)
VESSEL = Structure("vessel", instances=False)


class Bright(nn.Module):
    """Says "foreground" of pixels above one half in the first channel, and "boundary" nowhere."""

    stride = 4

    def forward(self, image):
        foreground = 40 * (image[:, :1] - 0.5)
        return torch.cat([foreground, torch.full_like(foreground, -20)], dim=1)


@pytest.fixture
def bright():
    """A model that needs no training; its masks can be told from the image."""

    def make(*channels, structures=(CELL,), module=None, **card):
        facts = {
            "architecture": "unet-tiny",
            "channels": channels or ("nucleus",),
            "normalisation": {"rule": "percentile", "lower": 0.0, "upper": 100.0},
            "structures": structures,
            "crop": 64,
            "halo": {"exact": 0, "fast": 0},
        }
        return Model(module or Bright(), ModelCard(**{**facts, **card}))

    return make


@pytest.fixture(scope="session")
def dense():
    """Probability maps of tissue in which every cell touches its neighbours: one single piece of foreground."""

    def make(height, width, *, spacing=22.0, seed=0):
        generator = np.random.default_rng(seed)
        count = round(height * width / spacing**2)
        # A jittered grid: cells of about one size, as in tissue.
        side = int(np.ceil(np.sqrt(count)))
        grid = np.stack(np.meshgrid(np.arange(side), np.arange(side), indexing="ij"), -1).reshape(-1, 2) + 0.5
        centres = (grid + generator.uniform(-0.3, 0.3, grid.shape)) * np.array([height, width]) / side
        pixels = np.stack(np.meshgrid(np.arange(height), np.arange(width), indexing="ij"), -1).reshape(-1, 2)
        near, _ = cKDTree(centres).query(pixels, k=2)
        border = np.exp(-((near[:, 1] - near[:, 0]) ** 2) / 8).reshape(height, width)
        noise = generator.uniform(0, 0.05, (height, width))
        return np.stack([np.full((height, width), 0.95), 0.95 * border + noise]).astype(np.float32)

    return make


@pytest.fixture
def discs():
    """A picture of bright discs on black, and how many there are."""

    def make(height, width, centres, radius=4, value=200, dtype=np.uint8):
        y, x = np.ogrid[:height, :width]
        inside = np.zeros((height, width), bool)
        for row, column in centres:
            inside |= (y - row) ** 2 + (x - column) ** 2 <= radius**2
        return (inside * value).astype(dtype)

    return make


@pytest.fixture
def png():
    """Write a picture."""

    def write(path, array):
        path.parent.mkdir(parents=True, exist_ok=True)
        Pillow.fromarray(array).save(path)

    return write


@pytest.fixture
def tif():
    """Write an OME-TIFF, its channels named if there are any."""

    def write(path, array, names=None, pixel_size=None):
        path.parent.mkdir(parents=True, exist_ok=True)
        metadata = {"axes": "CYX" if array.ndim == 3 else "YX"}
        if names:
            metadata["Channel"] = {"Name": list(names)}
        if pixel_size:
            metadata |= {"PhysicalSizeX": pixel_size, "PhysicalSizeY": pixel_size}
        tifffile.imwrite(path, array, ome=True, photometric="minisblack", metadata=metadata)

    return write


@pytest.fixture
def failures():
    """The lines of failed.csv."""

    def read(out):
        with (out / "failed.csv").open(newline="", encoding="utf-8") as handle:
            return list(csv.reader(handle))[1:]

    return read


@pytest.fixture
def records():
    """The lines of predictions.jsonl."""

    def read(out):
        return [json.loads(line) for line in (out / "predictions.jsonl").read_text(encoding="utf-8").splitlines()]

    return read
