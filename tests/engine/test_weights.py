import pytest
import torch
from engine_toy import Net, values
from torch import nn
from torch.testing import assert_close

from segdistill.engine import load_values, trained_values
from segdistill.engine.average import Average
from segdistill.errors import ConfigError


def test_average_by_hand():
    # Decay min(0.5, (1 + step) / (10 + step)): 0.1 at step 0, 2/11 at step 1.
    layer = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(layer.weight)
    average = Average(layer, 0.5)
    nn.init.ones_(layer.weight)
    average.update(0)
    assert average.values["weight"].item() == pytest.approx(0.9)
    average.update(1)
    assert average.values["weight"].item() == pytest.approx(0.9 * 2 / 11 + 9 / 11)
    average.update(1000)  # now the decay itself: halfway
    assert average.values["weight"].item() == pytest.approx((0.9 * 2 / 11 + 9 / 11 + 1) / 2)


def test_an_average_without_decay_is_the_weights():
    net = Net(norm=True)
    average = Average(net, 0.0)
    net(torch.randn(2, 1, 3, 5))
    nn.init.normal_(net.s)
    average.update(5)
    assert_close(average.values, dict(net.state_dict()), rtol=0, atol=0)


def test_average_in_place_for_a_while_only():
    net = Net(norm=True)
    average = Average(net, 0.9)
    nn.init.normal_(net.s)
    before = values(net)
    inside = []

    def fail():
        inside.append(net.s.tolist())
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), average.in_place():
        fail()
    assert inside == [[0.5, -0.5]]
    assert_close(values(net), before, rtol=0, atol=0)


def test_frozen_parameters_are_neither_saved_nor_loaded():
    net = Net(norm=True)
    net.body[0].requires_grad_(False)
    kept = trained_values(net)
    assert {name for name in net.state_dict() if name not in kept} == {"body.0.weight", "body.0.bias"}
    other = Net(norm=True)
    other.body[0].requires_grad_(False)
    nn.init.normal_(other.body[4].weight)
    load_values(other, kept, source="x")
    assert_close(values(other), values(net), rtol=0, atol=0)


def test_values_of_another_network_are_refused_and_nothing_changes():
    net = Net()
    wrong = {name: torch.full_like(value, 7) for name, value in trained_values(net).items()}
    wrong["s"] = torch.zeros(3)
    wrong["head.weight"] = wrong.pop("body.4.weight")
    before = values(net)
    with pytest.raises(ConfigError) as caught:
        load_values(net, wrong, source="runs/a")
    for part in ["runs/a", "body.4.weight is missing", "head.weight is not known", "(3,), here (2,)"]:
        assert part in str(caught.value)
    assert_close(values(net), before, rtol=0, atol=0)
