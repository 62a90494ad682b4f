import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from segdistill.engine.schedule import rate_factor, set_learning_rate
from segdistill.engine.seeding import seed_step


def test_warm_up_and_cosine_by_hand():
    # 10 steps, 2 of them rising: 1/2, 1; then (1 + cos(pi k / 8)) / 2: 1 at k = 0, 1/2 at k = 4.
    factors = [rate_factor(step, steps=10, warmup=0.2) for step in range(10)]
    assert factors[:3] == [0.5, 1.0, 1.0]
    assert factors[6] == pytest.approx(0.5)


@given(steps=st.integers(1, 300), warmup=st.floats(0, 0.99))
def test_the_rate_rises_then_falls_and_is_never_zero(steps, warmup):
    factors = [rate_factor(step, steps=steps, warmup=warmup) for step in range(steps)]
    assert all(0 < factor <= 1 for factor in factors)
    assert max(factors) == 1
    top = factors.index(1.0)
    assert factors[: top + 1] == sorted(factors[: top + 1])
    assert factors[top:] == sorted(factors[top:], reverse=True)


def test_each_group_keeps_its_own_peak():
    weight = torch.zeros(1, requires_grad=True)
    bias = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.AdamW([{"params": [weight]}, {"params": [bias], "lr": 0.1}], lr=1.0)
    set_learning_rate(optimizer, [1.0, 0.1], 0.5)
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.05]


def test_random_numbers_of_a_step_depend_on_seed_step_and_process_alone():
    draws = {}
    for _ in range(2):
        for key in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]:
            seed_step(*key, device=torch.device("cpu"))
            draws.setdefault(key, []).append(tuple(torch.rand(3).tolist()))
    assert all(first == second for first, second in draws.values())
    assert len({first for first, _ in draws.values()}) == 4
