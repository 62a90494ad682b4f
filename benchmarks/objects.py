"""Scoring half a million objects: time and peak memory on one core, beside StarDist's ``matching``.

Wanted: 500,000 objects in under 10 s and 2 GB, images included. StarDist builds a matrix of all pairs, so both
are also measured at a size that it can do. Each measurement is a process of its own, of one thread; imports, the
making of the images and compiling are not timed. "s of the core" is what it computed, "s" what passed meanwhile, which
is longer where the machine has other work. Peak memory is the process's, so it holds the two images and Python.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

from segdistill.evaluation import (
    THRESHOLDS,
    aji_plus,
    average_precision,
    f1,
    hd95,
    match,
    measure_surfaces,
    panoptic_quality,
)

SIDE = 12
"""Pixels from one object to the next; objects are squares of one less."""

WANTED = {"seconds": 10, "gigabytes": 2}


def field(objects: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a prediction and a label: objects moved by a pixel, one in 40 missed, one in 50 merged with the next."""
    columns = max(1, round((1.25 * objects) ** 0.5))
    rows = -(-objects // columns)
    numbers = np.arange(1, rows * columns + 1, dtype=np.uint32)
    numbers[objects:] = 0
    predicted = numbers.copy()
    predicted[::40] = 0
    predicted[1::50] = predicted[:-1:50][: len(predicted[1::50])]
    return np.roll(drawn(predicted.reshape(rows, columns)), 1, axis=1), drawn(numbers.reshape(rows, columns))


def drawn(numbers: np.ndarray) -> np.ndarray:
    """Return squares of these numbers, a pixel apart."""
    image = np.repeat(np.repeat(numbers, SIDE, axis=0), SIDE, axis=1)
    image[::SIDE] = 0
    image[:, ::SIDE] = 0
    return image


def ours(prediction: np.ndarray, label: np.ndarray) -> dict[str, float]:
    """Return what StarDist's ``matching`` returns at ten thresholds."""
    found = match(prediction, label)
    scores = {f"ap at {threshold}": average_precision(found, threshold) for threshold in THRESHOLDS}
    return scores | {"f1": f1(found), "pq": panoptic_quality(found)}


def ours_aji_plus(prediction: np.ndarray, label: np.ndarray) -> dict[str, float]:
    """Return AJI+, matching included."""
    return {"aji_plus": aji_plus(match(prediction, label))}


def ours_surfaces(prediction: np.ndarray, label: np.ndarray) -> dict[str, float]:
    """Return HD95 of the contours of all objects together."""
    return {"hd95": hd95(measure_surfaces(prediction > 0, label > 0))}


def stardist(prediction: np.ndarray, label: np.ndarray) -> dict[str, float]:
    """Return the same as ``ours`` by StarDist."""
    from stardist.matching import matching

    found = matching(label, prediction, thresh=[threshold + 1e-6 for threshold in THRESHOLDS])
    scores = {f"ap at {threshold}": each.accuracy for threshold, each in zip(THRESHOLDS, found, strict=True)}
    return scores | {"f1": found[0].f1, "pq": found[0].panoptic_quality}


SIDES: dict[str, Callable[[np.ndarray, np.ndarray], dict[str, float]]] = {
    "segdistill": ours,
    "segdistill, aji_plus": ours_aji_plus,
    "segdistill, hd95": ours_surfaces,
    "StarDist": stardist,
}


def measure(side: str, objects: int) -> None:
    """Print the time, the peak memory and the scores of one side, as JSON."""
    SIDES[side](*field(20))  # whatever compiles at the first call has done so
    pair = field(objects)
    start, cpu = time.perf_counter(), time.process_time()
    scores = SIDES[side](*pair)
    spent = {"s": time.perf_counter() - start, "s of the core": time.process_time() - cpu}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    images = sum(image.nbytes for image in pair)
    print(json.dumps({**spent, "peak GB": peak / 1e9, "images GB": images / 1e9, "scores": scores}))


def measured(side: str, objects: int) -> dict:
    """Return what a process of its own measured."""
    command = [sys.executable, __file__, "--side", side, "--objects", str(objects)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Measure and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=500_000)
    parser.add_argument("--peer-objects", type=int, default=8_000, help="StarDist needs some 40 bytes per pair of them")
    parser.add_argument("--side", choices=SIDES, help="measure this alone and print JSON")
    given = parser.parse_args()
    if given.side:
        measure(given.side, given.objects)
        return
    values: dict = {"wanted": WANTED, "load of the machine": round(os.getloadavg()[0], 1)}
    runs = [("segdistill", given.objects), ("segdistill, aji_plus", given.objects)]
    runs += [("segdistill, hd95", given.objects // 10)]
    runs += [(side, given.peer_objects) for side in ("segdistill", "StarDist")]
    found = {}
    for side, objects in runs:
        found[side, objects] = each = measured(side, objects)
        for what in ("s", "s of the core", "peak GB", "images GB"):
            values[f"{side}, {objects:,} objects, {what}"] = round(each[what], 3)
    mine, peer = (found[side, given.peer_objects] for side in ("segdistill", "StarDist"))
    values["StarDist / segdistill, time"] = round(peer["s of the core"] / mine["s of the core"], 1)
    values["StarDist / segdistill, peak memory beyond the images"] = round(
        (peer["peak GB"] - peer["images GB"]) / (mine["peak GB"] - mine["images GB"]), 1
    )
    values["largest difference of a score"] = max(
        abs(mine["scores"][name] - peer["scores"][name]) for name in mine["scores"]
    )
    from common import keep  # it needs torch, and a new process begins with the peak memory of the one that starts it

    keep("objects", values)


if __name__ == "__main__":
    main()
