"""Which samples a step uses: a function of the seed and the step, so there is no sampler to save."""

from functools import lru_cache

import numpy as np
from jaxtyping import Int

from segdistill.errors import DataError


def batch_indices(step: int, *, batch: int, length: int, seed: int) -> Int[np.ndarray, " batch"]:
    """Return which samples an optimiser step uses.

    A function of the step alone, so a resumed run sees what an uninterrupted one would have seen.
    Every sample is used once in each epoch; an epoch may end in the middle of a batch.

    Args:
        step: Counted from 0.
        batch: Samples of one step, over all processes.
        length: How many samples there are.
        seed: Decides the order of each epoch.

    Raises:
        DataError: There is no sample to draw from.

    >>> sorted(batch_indices(1, batch=3, length=3, seed=0).tolist())
    [0, 1, 2]
    """
    if length < 1:
        raise DataError("There is no sample to train on: the list of samples is empty. Check the data folder.")
    epochs, places = np.divmod(np.arange(step * batch, (step + 1) * batch), length)
    return np.array([_order(length, seed, epoch)[place] for epoch, place in zip(epochs.tolist(), places, strict=True)])


def batch_slots(batch: int, *, rank: int, world: int) -> range:
    """Return the places in a step's batch that one process takes.

    Args:
        batch: Samples of one step, over all processes.
        rank: Which process, from 0.
        world: How many processes share the step.

    A sample's slot, not its process or micro-batch, decides its random draws.

    >>> list(batch_slots(5, rank=1, world=2))
    [1, 3]
    """
    return range(rank, batch, world)


@lru_cache(maxsize=8)
def _order(length: int, seed: int, epoch: int) -> Int[np.ndarray, " length"]:
    order = np.random.default_rng((seed, epoch)).permutation(length)
    order.flags.writeable = False
    return order
