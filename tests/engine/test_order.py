import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segdistill.engine import batch_indices, batch_slots
from segdistill.errors import DataError


@given(batch=st.integers(1, 9), length=st.integers(1, 11), seed=st.integers(0, 3), epochs=st.integers(1, 3))
def test_every_epoch_uses_every_sample_once(batch, length, seed, epochs):
    steps = -(-epochs * length // batch)
    drawn = np.concatenate([batch_indices(step, batch=batch, length=length, seed=seed) for step in range(steps)])
    for epoch in range(epochs):
        assert sorted(drawn[epoch * length : (epoch + 1) * length]) == list(range(length))


def test_a_step_does_not_depend_on_what_was_asked_before():
    later = batch_indices(5, batch=4, length=7, seed=1)
    for step in range(9):
        batch_indices(step, batch=4, length=7, seed=2)
    np.testing.assert_array_equal(batch_indices(5, batch=4, length=7, seed=1), later)


def test_epochs_and_seeds_have_different_orders():
    orders = {tuple(batch_indices(step, batch=20, length=20, seed=seed)) for step in range(2) for seed in range(2)}
    assert len(orders) == 4


def test_nothing_to_draw_from_is_refused():
    with pytest.raises(DataError, match="no sample"):
        batch_indices(0, batch=2, length=0, seed=0)


@given(batch=st.integers(1, 12), world=st.integers(1, 5))
def test_processes_share_a_batch_without_gap_or_overlap(batch, world):
    slots = [slot for rank in range(world) for slot in batch_slots(batch, rank=rank, world=world)]
    assert sorted(slots) == list(range(batch))
