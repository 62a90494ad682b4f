"""How much memory `segdistill predict` takes for an image of 20,000 × 20,000 px. Wanted: a peak below 1.5 GB.

The image is a tiled, compressed TIFF of simulated tissue, one field of which is repeated; the student learns for a
minute from that field, so that the masks hold as many cells as tissue does. The peak is that of a process of its own
(VmHWM), beside what the image and the student's maps take when they are in memory whole.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tifffile

from common import keep
from segdistill.data.simulate import TissueSettings, simulate_tissue
from students import TILE, trained

WANTED = 1_500_000_000
FIELD = TissueSettings(height=TILE, width=TILE)
CHILD = """
import re, sys
from pathlib import Path
from segdistill.cli import status
code = status(sys.argv[1:])
print(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1])
sys.exit(code)
"""


def write_image(path: Path, shape: tuple[int, int]) -> None:
    """Write the field over and over, a tile at a time."""
    tile = simulate_tissue(0, FIELD).image[0]

    def tiles() -> Iterator[np.ndarray]:
        for _ in range(-(-shape[0] // TILE) * -(-shape[1] // TILE)):
            yield tile

    options = {"tile": (TILE, TILE), "compression": "zlib", "photometric": "minisblack"}
    tifffile.imwrite(path, tiles(), shape=shape, dtype=tile.dtype, **options)


def measure(shape: tuple[int, int], name: str, steps: int) -> dict[str, object]:
    """Segment an image of this shape in a process of its own."""
    with tempfile.TemporaryDirectory() as scratch:
        image, model, out = Path(scratch, "image.tif"), Path(scratch, "model"), Path(scratch, "out")
        write_image(image, shape)
        outputs = trained(model, name, steps=steps)
        words = ["predict", "--model", model, "--images", image, "--out", out, "--device", "cpu"]
        start = time.perf_counter()
        child = subprocess.run(
            [sys.executable, "-c", CHILD, *map(str, words)], check=True, stdout=subprocess.PIPE, text=True
        )
        seconds = time.perf_counter() - start
        peak = int(child.stdout.split()[-1]) * 1024
        record = json.loads((out / "predictions.jsonl").read_text(encoding="utf-8"))
        pixels = shape[0] * shape[1]
        whole = pixels * (2 + 4 + 4 * outputs + 4)  # pixels, normalised pixels, maps, mask
        return {
            "student": name,
            "image, px": list(shape),
            "image file, bytes": image.stat().st_size,
            "cells found": record["structures"]["cell"]["objects"],
            "peak of the process, bytes": peak,
            "pixels, maps and mask in memory whole, bytes": whole,
            "ratio": round(peak / whole, 3),
            "wanted below, bytes": WANTED,
            "time, s": round(seconds, 1),
            "megapixels per second": round(pixels / 1e6 / seconds, 2),
            **({"load of the machine": round(os.getloadavg()[0], 1)} if hasattr(os, "getloadavg") else {}),
        }


def main() -> None:
    """Measure, keep, and fail where the peak is too high."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--height", type=int, default=20_000, help="of the image, pixels")
    parser.add_argument("--width", type=int, default=20_000, help="of the image, pixels")
    parser.add_argument("--student", default="unet-resnet18")
    parser.add_argument("--steps", type=int, default=200, help="of training")
    parser.add_argument("--dry", action="store_true", help="print only")
    given = parser.parse_args()
    found = measure((given.height, given.width), given.student, given.steps)
    if given.dry:
        print(json.dumps(found, indent=2))
    else:
        keep("large_image", found)
    sys.exit(found["peak of the process, bytes"] >= WANTED)


if __name__ == "__main__":
    main()
