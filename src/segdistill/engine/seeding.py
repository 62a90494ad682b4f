"""Randomness of a step as a function of (seed, step, process), so that no generator's state is saved."""

import numpy as np
import torch


def step_seed(seed: int, step: int, rank: int) -> int:
    """Return one 63-bit seed for a step of one process.

    >>> step_seed(0, 1, 0) == step_seed(0, 1, 0), step_seed(0, 1, 0) == step_seed(1, 0, 0)
    (True, False)
    """
    return int(np.random.SeedSequence((seed, step, rank)).generate_state(1, np.uint64)[0] >> np.uint64(1))


def seed_step(seed: int, step: int, rank: int, *, device: torch.device) -> None:
    """Seed torch for one step of one process: dropout is then the same in a resumed run.

    Args:
        seed: The run's.
        step: Steps done.
        rank: The process's.
        device: Where it trains. On the CPU no other device is seeded: each would cost milliseconds, also where
            there is none.
    """
    drawn = step_seed(seed, step, rank)
    if device.type == "cpu":
        torch.default_generator.manual_seed(drawn)
    else:
        torch.manual_seed(drawn)
