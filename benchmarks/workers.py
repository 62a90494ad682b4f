"""What a second worker of one thread brings to the prediction of one large image. Wanted: 1.8 times the speed.

Beside it, what the machine itself allows: the same network on the same windows in one process and in two at once,
nothing read, sent or put together. Two cores that are two threads of one do not do twice the work.
"""

import argparse
import sys
import tempfile
import time
from functools import lru_cache
from pathlib import Path

import cloudpickle
import numpy as np
import torch

from common import keep
from large_image import write_image
from segdistill.distribution import team_of
from segdistill.inference import Options, predict_files
from segdistill.networks import load_model
from students import TILE, trained

WANTED = 1.8
SIDE = 4608
OPTIONS = Options(device="cpu", tile=TILE)


@lru_cache(maxsize=1)
def network(model: Path) -> torch.nn.Module:
    """Return the student of a worker."""
    return load_model(model).module.eval()


def compute(piece: tuple[Path, int]) -> int:
    """Run some windows through the network, and nothing else."""
    model, number = piece
    window = torch.from_numpy(np.random.default_rng(0).random((1, 1, TILE, TILE), dtype=np.float32))
    with torch.inference_mode():
        for _ in range(number):
            network(model)(window)
    return number


def measure(workers: int, model: Path, image: Path, out: Path, windows: int) -> tuple[float, float]:
    """Return the seconds of predicting the image, and of so many windows alone, when the workers are warm."""
    with team_of(workers) as team:
        small = image.with_name("small.tif")
        write_image(small, (TILE, TILE))
        predict_files(model, [small], out / f"warm{workers}", options=OPTIONS, team=team)
        list(team.in_order(compute, [(model, 2)] * workers))
        began = time.perf_counter()
        list(team.in_order(compute, [(model, windows // workers)] * workers))
        alone = time.perf_counter() - began
        began = time.perf_counter()
        predict_files(model, [image], out / f"with{workers}", options=OPTIONS, team=team)
        return time.perf_counter() - began, alone


def main() -> None:
    """Measure and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=SIDE, help="of the image, pixels; more than 4096, to be divided")
    parser.add_argument("--student", default="unet-resnet18")
    parser.add_argument("--steps", type=int, default=40, help="of training")
    given = parser.parse_args()
    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import a script
    with tempfile.TemporaryDirectory() as scratch:
        image, model, out = Path(scratch, "image.tif"), Path(scratch, "model"), Path(scratch, "out")
        write_image(image, (given.side, given.side))
        trained(model, given.student, steps=given.steps)
        windows = 2 * (given.side**2 // TILE**2 // 2)
        one, one_alone = measure(1, model, image, out, windows)
        two, two_alone = measure(2, model, image, out, windows)
        same = (out / "with1" / "image.tif").read_bytes() == (out / "with2" / "image.tif").read_bytes()
    keep(
        "workers",
        {
            "student": given.student,
            "image, px": [given.side, given.side],
            "seconds_with_one_worker": round(one, 2),
            "seconds_with_two_workers": round(two, 2),
            "ratio": round(one / two, 3),
            "wanted at least": WANTED,
            "windows alone in one process, s": round(one_alone, 2),
            "windows alone in two processes, s": round(two_alone, 2),
            "what the machine allows, ratio": round(one_alone / two_alone, 3),
            "masks are equal to the byte": same,
        },
    )


if __name__ == "__main__":
    main()
