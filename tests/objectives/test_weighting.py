"""Fixed and learnt weights: by hand, the optimum, the limit, and parts that add up."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from segdistill.errors import ConfigError, UnknownName
from segdistill.objectives import (
    FixedWeighting,
    LearnedWeighting,
    bounded_uncertainty,
    build_weighting,
    fixed_weighting,
    uncertainty_weighting,
)
from segdistill.objectives.weighting import LIMIT

rules = pytest.mark.parametrize("rule", [uncertainty_weighting, bounded_uncertainty])
losses = st.floats(0, 5)


def scalar(value: float) -> torch.Tensor:
    return torch.tensor(value, dtype=torch.float64)


def learn(weighting: LearnedWeighting, terms: dict[str, torch.Tensor], *, steps: int, rate: float = 0.1) -> None:
    optimiser = torch.optim.SGD(weighting.parameters(), lr=rate)
    for _ in range(steps):
        optimiser.zero_grad()
        weighting(terms, 1.0).backward()
        optimiser.step()


def test_uncertainty_by_hand():
    # s = (0, ln 4), L = (3, 8): 3/2 + 0 + 8/(2 * 4) + ln(4)/2.
    found = uncertainty_weighting(
        {"seg": scalar(0), "kd": scalar(math.log(4))}, {"seg": scalar(3), "kd": scalar(8)}, 1.0
    )
    assert found.item() == pytest.approx(1.5 + 1 + math.log(4) / 2)


def test_bounded_by_hand():
    # s = ln 4, L = 8: 8/(2 * 4) + ln(1 + 4).
    assert bounded_uncertainty({"kd": scalar(math.log(4))}, {"kd": scalar(8)}, 1.0).item() == pytest.approx(
        1 + math.log(5)
    )


def test_fixed_by_hand():
    assert fixed_weighting({"seg": 1.0, "kd": 0.5}, {"seg": scalar(3), "kd": scalar(8)}).item() == 7


def test_one_total_may_be_negative_and_the_other_not():
    s, loss = {"kd": scalar(-3)}, {"kd": scalar(0.01)}
    assert uncertainty_weighting(s, loss, 1.0) < 0
    assert bounded_uncertainty(s, loss, 1.0) > 0


@rules
@given(first=losses, second=losses, share=st.floats(0, 1), s=st.floats(-LIMIT, LIMIT))
def test_micro_batches_add_up_to_the_step(rule, first, second, share, s):
    variances = {"kd": scalar(s)}
    whole = rule(variances, {"kd": scalar(first + second)}, 1.0)
    parts = rule(variances, {"kd": scalar(first)}, share) + rule(variances, {"kd": scalar(second)}, 1 - share)
    assert_close(parts, whole)


def test_micro_batches_add_up_in_the_module_too():
    weighting = LearnedWeighting(["seg", "kd"])
    whole = LearnedWeighting(["seg", "kd"])
    for share in (0.25, 0.75):
        weighting({"seg": torch.tensor(3.0 * share), "kd": torch.tensor(8.0 * share)}, share).backward()
    whole({"seg": torch.tensor(3.0), "kd": torch.tensor(8.0)}, 1.0).backward()
    for name, s in weighting.log_variances.items():
        assert_close(s.grad, whole.log_variances[name].grad)


def test_at_the_optimum_s_is_the_logarithm_of_the_term():
    weighting = LearnedWeighting(["seg", "kd"])
    learn(weighting, {"seg": torch.tensor(2.0), "kd": torch.tensor(0.25)}, steps=400)
    assert weighting.scalars() == pytest.approx({"s_seg": math.log(2), "s_kd": math.log(0.25)}, abs=0.01)


@rules
def test_a_vanishing_term_stops_at_the_limit(rule):
    weighting = LearnedWeighting(["kd"], rule)
    learn(weighting, {"kd": torch.tensor(0.0)}, steps=200, rate=2.0)
    assert weighting.log_variances["kd"].item() < -LIMIT  # where the optimiser left it
    found = weighting({"kd": torch.tensor(1.0)}, 1.0)
    assert weighting.log_variances["kd"].item() == -LIMIT
    assert_close(found, rule({"kd": torch.tensor(-LIMIT)}, {"kd": torch.tensor(1.0)}, 1.0))


@pytest.mark.parametrize(("before", "after"), [(0.0, 2.0), (math.exp(12), 2.0)], ids=["lower", "upper"])
def test_the_limit_lets_go(before, after):
    # Driven into a limit and far past it by the optimiser, s comes back as soon as its term asks.
    weighting = LearnedWeighting(["kd"])
    learn(weighting, {"kd": torch.tensor(before)}, steps=60, rate=1.0)
    assert abs(weighting.scalars()["s_kd"]) == pytest.approx(LIMIT, abs=0.3)
    learn(weighting, {"kd": torch.tensor(after)}, steps=3000, rate=0.05)
    assert weighting.scalars()["s_kd"] == pytest.approx(math.log(after), abs=0.05)


@pytest.mark.parametrize("outside", [-50.0, 50.0])
def test_a_value_outside_is_brought_back_and_keeps_its_gradient(outside):
    weighting = LearnedWeighting(["kd"])
    with torch.no_grad():
        weighting.log_variances["kd"].fill_(outside)
    weighting({"kd": torch.tensor(math.exp(-outside / 50))}, 1.0).backward()
    s = weighting.log_variances["kd"]
    assert s.item() == math.copysign(LIMIT, outside)
    assert s.grad is not None
    assert s.grad.item() != 0


@rules
def test_gradient_reaches_terms_and_variances(rule):
    weighting, loss = LearnedWeighting(["kd"], rule), torch.tensor(3.0, requires_grad=True)
    weighting({"kd": loss}, 1.0).backward()
    assert loss.grad is not None
    assert loss.grad.item() == 0.5
    assert weighting.log_variances["kd"].grad is not None


@pytest.mark.parametrize("name", ["uncertainty", "bounded"])
def test_a_term_that_can_be_negative_has_no_learnt_weight(name):
    with pytest.raises(ConfigError, match="surface_distance can be negative"):
        build_weighting(name, ["seg", "surface_distance"])
    assert build_weighting("fixed", ["seg", "surface_distance"]).scalars() == {"w_seg": 1, "w_surface_distance": 0.01}


def test_build_by_name():
    terms = {"kd": torch.tensor(3.0)}
    assert build_weighting("uncertainty", ["kd"])(terms, 1.0).item() == pytest.approx(1.5)
    assert build_weighting("bounded", ["kd"])(terms, 1.0).item() == pytest.approx(1.5 + math.log(2))
    assert build_weighting("fixed", ["kd"], weights={"kd": 2.0})(terms, 1.0).item() == 6


def test_refusals_of_build():
    with pytest.raises(UnknownName, match="Did you mean 'uncertainty'"):
        build_weighting("uncertanty", ["kd"])
    with pytest.raises(ConfigError, match="learns its own"):
        build_weighting("uncertainty", ["kd"], weights={"kd": 2.0})
    with pytest.raises(ConfigError, match="given for seg"):
        build_weighting("fixed", ["kd"], weights={"seg": 2.0})
    with pytest.raises(ConfigError, match="twice"):
        build_weighting("bounded", ["kd", "kd"])


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_weights_are_finite_and_not_negative(weight):
    with pytest.raises(ConfigError, match="not negative"):
        FixedWeighting({"kd": weight})


@pytest.mark.parametrize("weighting", [FixedWeighting({"kd": 1.0, "seg": 1.0}), LearnedWeighting(["kd", "seg"])])
def test_every_term_every_time(weighting):
    with pytest.raises(ConfigError, match="0 where nothing counted"):
        weighting({"kd": torch.tensor(1.0)}, 1.0)


def test_state_is_kept_by_name():
    learnt = LearnedWeighting(["seg", "kd"])
    with torch.no_grad():
        learnt.log_variances["kd"].fill_(2.0)
    other = LearnedWeighting(["kd", "seg"])
    other.load_state_dict(learnt.state_dict())
    assert other.scalars() == {"s_kd": 2.0, "s_seg": 0.0}
