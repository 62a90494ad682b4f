"""From probability maps to measured objects, against the usual chain of scikit-image; one thread each.

2048 × 2048 px of simulated tissue with about 4,800 cells, the maps those of a good student: labels and their borders,
softened and with noise. Both sides take the same maps, name the objects and measure the same of each: area, centre,
box, eccentricity, and mean, least and greatest intensity of two channels.

- scikit-image: threshold, pieces, distances, seeds at their peaks, watershed of the distances, ``regionprops_table``.
- segdistill: ``segment`` (seeds from the border map, watershed of the border map) and ``Measurer``.

How well each finds the cells stands beside the time. Wanted: at least 3 times as fast.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable

import numpy as np
from scipy import ndimage
from skimage.feature import peak_local_max
from skimage.measure import label, regionprops_table
from skimage.segmentation import find_boundaries, watershed

from common import keep
from segdistill.data.labels import Structure
from segdistill.data.measurements import Measurements, Measurer
from segdistill.data.simulate import TissueSettings, simulate_tissue
from segdistill.evaluation import average_precision, match
from segdistill.inference.instances import segment

SIDE = 2048
FIELD = TissueSettings(height=SIDE, width=SIDE, cell_diameter=27.2)
WANTED = 3.0
CUT = {"foreground": 0.5, "seed": 0.5, "smoothing": 1.0, "minimum_size": 20}
MEASURED = ("label", "area", "centroid", "bbox", "eccentricity", "intensity_mean", "intensity_min", "intensity_max")


def maps_of(cells: np.ndarray) -> np.ndarray:
    """Return what a good student says of a field: foreground and border, softened and with noise."""
    draw = np.random.default_rng(0)
    inside = (cells > 0).astype(np.float32)
    border = (find_boundaries(cells, mode="inner") & (cells > 0)).astype(np.float32)
    wide = ndimage.binary_dilation(border > 0, iterations=1).astype(np.float32) * inside
    soft = np.stack([ndimage.gaussian_filter(plane, 1.0) for plane in (inside, wide)])
    noise = ndimage.gaussian_filter(draw.standard_normal(soft.shape), (0, 1, 1)).astype(np.float32)
    return np.clip(soft + 0.15 * noise, 0, 1).astype(np.float32)


def by_scikit_image(maps: np.ndarray, image: np.ndarray, apart: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return the labels and the measurements of the usual chain; peaks are at least so many pixels apart."""
    inside = maps[0] > CUT["foreground"]
    distance = ndimage.distance_transform_edt(inside & (maps[1] < 0.5))
    peaks = peak_local_max(distance, min_distance=apart, labels=label(inside))
    markers = np.zeros(inside.shape, np.int32)
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    labels = watershed(-distance, markers, mask=inside)
    return labels, regionprops_table(labels, np.moveaxis(image, 0, -1), properties=MEASURED)


def by_segdistill(maps: np.ndarray, image: np.ndarray) -> tuple[np.ndarray, Measurements]:
    """Return the labels and the measurements of this package."""
    labels = segment(maps, [Structure("cell", instances=True)], {"cell": CUT})["cell"]
    measurer = Measurer(channels=len(image))
    measurer.add((slice(0, SIDE), slice(0, SIDE)), labels, image)
    return labels, measurer.finish()


def best_of(repeats: int, work: Callable[[], tuple[np.ndarray, object]]) -> tuple[float, np.ndarray]:
    """Return the least seconds of the core that a chain takes, and its labels."""
    seconds = []
    labels = np.zeros((0, 0))
    for _ in range(repeats):
        began = time.process_time()
        labels, _ = work()
        seconds.append(time.process_time() - began)
    return min(seconds), labels


def main() -> None:
    """Measure both in turn, keep, and fail where ours is not fast enough."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--dry", action="store_true", help="print only")
    given = parser.parse_args()
    tissue = simulate_tissue(0, FIELD)
    maps = maps_of(tissue.cells)
    theirs, their_labels = best_of(given.repeats, lambda: by_scikit_image(maps, tissue.image, apart=8))
    ours, our_labels = best_of(given.repeats, lambda: by_segdistill(maps, tissue.image))
    found = {
        "cells": int(tissue.cells.max()),
        "image, px": [SIDE, SIDE],
        "scikit-image, s of the core": round(theirs, 3),
        "segdistill, s of the core": round(ours, 3),
        "scikit-image / segdistill, time": round(theirs / ours, 2),
        "wanted at least": WANTED,
        "scikit-image, AP@0.5": round(float(average_precision(match(their_labels, tissue.cells), 0.5)), 4),
        "segdistill, AP@0.5": round(float(average_precision(match(our_labels, tissue.cells), 0.5)), 4),
        "physical limit, s: the maps read once": round(maps.nbytes / 10e9, 4),
    }
    if given.dry:
        print(json.dumps(found, indent=2))
    else:
        keep("post_processing", found)
    sys.exit(found["scikit-image / segdistill, time"] < WANTED)


if __name__ == "__main__":
    main()
