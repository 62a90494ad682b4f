"""How far masks depend on where tiles lie, and what is done about it.

Students that see beyond any halo: squeeze-excite layers pool over all they are shown, attention is within windows that
lie on a grid of their own. Each student is measured twice: as its architecture is, and as this package runs it, with
layers that pool around each place and tiles that begin on the grid of the attention windows. Both in tiles of the same
side and halo; Dice of the map above one half, between tiles at two offsets and between tiles and the uncut image; and
of the uncut image with the truth, which must not suffer.
"""

import argparse
import tempfile
from copy import deepcopy
from pathlib import Path

import numpy as np
from torch import nn

from common import keep
from segdistill.data.image import Image
from segdistill.data.normalisation import PercentileRule
from segdistill.data.simulate import simulate_tissue
from segdistill.evaluation.overlap import dice
from segdistill.inference.maps import predict_maps, stride_of
from segdistill.inference.windows import View, view_of, window_sides
from segdistill.networks.any_size import AnySize
from segdistill.networks.local_pooling import pool_locally, pools_over_all
from segdistill.networks.model import load_model
from students import FIELD, TILE, trained

STUDENTS = ("unet-efficientnet-b0", "unet-mobilenetv3", "unet-swin-tiny")
FIELDS = 4
CROP = 224
SIDE = 896
"""Of tiles: four steps of Swin's grid."""

HALO = 64


def mosaic(number: int) -> tuple[View, np.ndarray]:
    """Return fields that no student learnt from, so many beside and below each other, and where their nuclei are."""
    fields = [simulate_tissue(1000 + seed, FIELD) for seed in range(number * number)]
    rows = [fields[number * row : number * (row + 1)] for row in range(number)]
    pixels = np.concatenate([np.concatenate([each.image[:1] for each in row], axis=2) for row in rows], axis=1)
    nuclei = np.concatenate([np.concatenate([each.nuclei > 0 for each in row], axis=1) for row in rows], axis=0)
    image = Image(pixels, ("channel0",), None, "simulated tissue")
    return view_of(image, image.channels, PercentileRule()), nuclei


def beginning_at(view: View, offset: int) -> View:
    """Return an image without its first rows and columns, on the scale of the whole."""
    rows, columns = (slice(offset, side) for side in view.shape)
    image = Image(view.read((rows, columns)), view.channels, None, "simulated tissue")
    zeros = np.zeros(len(view.channels), np.float32)
    return View(image, view.channels, zeros, zeros + 1)


def measure(network: nn.Module, view: View, truth: np.ndarray) -> dict[str, float]:
    """Return the agreements of one network as it is, percent."""
    stride = stride_of(network)
    core, border = window_sides(side=SIDE, halo=HALO, stride=stride)
    offset = core // 2 // stride * stride
    far = offset + border

    def mask(of: View, side: int) -> np.ndarray:
        return predict_maps(network, of, outputs=1, tile=side, halo=HALO if side == SIDE else 0)[0] > 0.5

    tiled, later, whole = mask(view, SIDE), mask(beginning_at(view, offset), SIDE), mask(view, max(view.shape))
    return {
        "Dice between two offsets": 100 * dice(tiled[far:, far:], later[border:, border:]),
        "Dice with the uncut image": 100 * dice(tiled, whole),
        "Dice of the uncut image with the truth": 100 * dice(whole, truth),
    }


def as_it_is(network: nn.Module) -> nn.Module:
    """Return a network whose tiles begin on its coarsest grid alone."""
    plain = deepcopy(network)
    if isinstance(plain, AnySize):
        plain.grid = plain.stride
    return plain


def as_run(network: nn.Module) -> nn.Module:
    """Return a network as this package runs it."""
    return pool_locally(deepcopy(network), crop=CROP, channels=1) if pools_over_all(network) else network


def main() -> None:
    """Train each student shortly, and measure it both ways."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--students", nargs="+", default=STUDENTS)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--fields", type=int, default=3, help="beside and below each other in the test image")
    given = parser.parse_args()
    view, truth = mosaic(given.fields)
    found: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as place:
        for name in given.students:
            folder = Path(place) / name
            trained(folder, name, steps=given.steps, fields=FIELDS, crop=CROP, batch=2, rate=5e-4, nuclei=True)
            network = load_model(folder).module.eval()
            for how, changed in (("as it is", as_it_is(network)), ("as run", as_run(network))):
                for what, value in measure(changed, view, truth).items():
                    found[f"{name}, {how}: {what}, %"] = round(value, 3)
    keep(
        "tile_offsets",
        {"steps": given.steps, "image, px": given.fields * TILE, "tile, px": SIDE, "halo, px": HALO, **found},
    )


if __name__ == "__main__":
    main()
