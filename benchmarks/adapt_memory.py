"""What a step of `adapt` takes of memory: low-rank changes against all weights of a SAM.

Random weights, which cost as much as published ones. Each side in a process of its own, two whole
steps of one image (the second has an optimiser's state): crop, forward, backward, AdamW, moving average.
What is counted is the peak of resident memory beyond what the process held before the SAM was made.
Wanted: low-rank at most 0.6 of all weights, and either within 8 GB at 512 px.
"""

import argparse
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from transformers import SamModel

from common import keep
from segdistill.data.labels import Structure
from segdistill.data.normalisation import PercentileRule
from segdistill.engine.average import Average
from segdistill.settings import Adapting
from segdistill.teachers.contract import Contract
from segdistill.teachers.sam_learner import Fitted, checkpoint_blocks, new_learner
from segdistill.teachers.sam_sizes import FULL_SIZE, full_size_config, resized_config
from segdistill.training.adapting import AdaptingProblem, SamFit, make_crops
from segdistill.training.entries import Entry

CELL = (Structure("cell", instances=True),)
SIDES = {"full": False, "lora": False, "full, checkpointing": True, "lora, checkpointing": True}


def problem(name: str, how: Fitted, size: int, *, checkpointing: bool) -> AdaptingProblem:
    """Return one side: a SAM of random weights that is to be fitted to one field."""
    torch.manual_seed(0)
    model = SamModel(resized_config(full_size_config(name), size)).eval()
    learner = new_learner(model, how, outputs=2, rank=4, seed=0)
    if checkpointing:
        checkpoint_blocks(learner.model)
    draw = np.random.default_rng(0)
    planes = np.kron(np.arange(1, 17).reshape(1, 4, 4), np.ones((1, size // 4, size // 4))).astype(np.int32)
    image = draw.random((3, size, size), dtype=np.float32)
    field = Entry("field", image, planes, np.array([True]), np.ones((size, size), bool))
    contract = Contract(
        name=name,
        channels=("red", "green", "blue"),
        rule=PercentileRule(),
        outputs=("cell", "cell.boundary"),
        weights_sha256="",
        licence="",
        size=size,
        tile=2 * size,
    )
    fit = SamFit(learner, how, contract, CELL, Adapting(batch_size=1))
    return AdaptingProblem(fit, make_crops(fit, [field], [], seed=0))


def resident() -> float:
    """Return the resident memory of this process, GB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e9


def measure(name: str, how: Fitted, size: int, *, checkpointing: bool, precision: str) -> None:
    """Take two steps and print the peak of memory beyond the beginning, GB."""
    before = resident()
    side = problem(name, how, size, checkpointing=checkpointing)
    side.module.train()
    optimiser = torch.optim.AdamW(side.parameter_groups(), fused=True)
    average = Average(side.module, 0.99)
    for number in range(2):
        batch = side.collate(side.batch(number, 0, 1), number, torch.device("cpu"))
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16-mixed"):
            loss = side.combine(side.module, side.terms(side.module, batch, side.weights(batch)), 1.0)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        average.update(number)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    print(f"{peak - before:.3f}")


def main() -> None:
    """Measure every side, print both and their ratio, and keep them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", choices=FULL_SIZE, default="sam-vit-b")
    parser.add_argument("--size", type=int, default=512, help="side of the square that the network sees, pixels")
    parser.add_argument("--precision", choices=("32-true", "bf16-mixed"), default="32-true")
    parser.add_argument("--sides", nargs="+", choices=list(SIDES), default=list(SIDES))
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        how: Fitted = "full" if given.child.startswith("full") else "lora"
        measure(given.name, how, given.size, checkpointing=SIDES[given.child], precision=given.precision)
        return
    found: dict[str, float] = {}
    for side in given.sides:
        command = [sys.executable, __file__, "--child", side, "--name", given.name, "--size", str(given.size)]
        done = subprocess.run([*command, "--precision", given.precision], check=True, capture_output=True, text=True)
        found[side] = float(done.stdout)
        print(f"{side}: {found[side]:.2f} GB", flush=True)
    ratio = round(found["lora"] / found["full"], 3) if {"lora", "full"} <= set(found) else None
    suffix = "" if given.precision == "32-true" else "_bf16"
    keep(
        f"adapt_memory_{given.name.replace('-', '_')}_{given.size}{suffix}",
        {
            "network": given.name,
            "size": given.size,
            "precision": given.precision,
            "batch": 1,
            "rank": 4,
            **{f"peak memory of a step, GB, {side}": value for side, value in found.items()},
            "ratio": ratio,
            "wanted": 0.6,
        },
    )


if __name__ == "__main__":
    main()
