"""How many images per second a diffusion model draws, with each solver, on the CPU or a GPU.

The network is the default one of `segdistill synthesize`, or what is named; its weights are random, which takes as
long as fitted ones do. Only whole drawings are timed: from noise to pixels on the host.
"""

import argparse
import time
from statistics import median

import torch

from common import keep
from segdistill.engine import select_device
from segdistill.settings.synthesize import SIDES, Network, Sampling
from segdistill.synthesis.denoiser import new_denoiser
from segdistill.synthesis.diffusion import Solving
from segdistill.synthesis.drawing import drawn

WANTED = 1000
"""Images of which the whole time is told."""

DDIM_STEPS = 2
"""DDIM is asked for so many times the steps of DPM-Solver, as it needs more."""


def seconds(denoiser: torch.nn.Module, solving: Solving, batch: int, repeats: int) -> float:
    """Return the median time of drawing one batch."""
    took = []
    for number in range(repeats + 1):
        began = time.perf_counter()
        drawn(denoiser, range(number * batch, (number + 1) * batch), solving, seed=0)
        took.append(time.perf_counter() - began)
    return median(took[1:])


def main() -> None:
    """Measure and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, choices=SIDES, default=128, help="of the images, pixels")
    parser.add_argument("--channels", type=int, default=1)
    parser.add_argument("--width", type=int, default=Network().width)
    parser.add_argument("--steps", type=int, default=Sampling().steps, help="of DPM-Solver")
    parser.add_argument("--batch", type=int, default=Sampling().batch_size)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    device = str(select_device(given.device, notice=print))
    blocks = Network().blocks
    denoiser = new_denoiser(channels=given.channels, side=given.side, width=given.width, blocks=blocks, seed=0)
    denoiser.to(device).eval()
    values: dict[str, object] = {
        "side": given.side,
        "channels": given.channels,
        "weights": sum(weight.numel() for weight in denoiser.parameters()),
        "batch": given.batch,
        "device": torch.cuda.get_device_name(0) if device.startswith("cuda") else "cpu",
    }
    for solving in (Solving("dpm-solver", given.steps), Solving("ddim", DDIM_STEPS * given.steps)):
        took = seconds(denoiser, solving, given.batch, given.repeats)
        name = f"{solving.solver.replace('-', '_')}_{solving.steps}_steps"
        values[f"{name}_images_per_second"] = round(given.batch / took, 4)
        values[f"{name}_minutes_for_{WANTED}_images"] = round(WANTED * took / given.batch / 60, 1)
    keep(f"sampling_{'cuda' if device.startswith('cuda') else 'cpu'}_{given.side}_width_{given.width}", values)


if __name__ == "__main__":
    main()
