import numpy as np
import pytest
import torch
from torch import nn

from segdistill.errors import EnvironmentFault
from segdistill.inference.runner import Runner

WINDOWS = [np.full((1, 3, 5), value, np.float32) for value in (0, 1, 2, 3, 4)]


class Crowded(nn.Module):
    """Refuses more than ``most`` windows at once, with the error it was given; on a fake device that is not the CPU.

    The "meta" device stands for a GPU: it takes tensors, and this module stays where it is.
    """

    def __init__(self, most, error=torch.OutOfMemoryError):
        super().__init__()
        self.most, self.error, self.tried = most, error, []

    def _apply(self, *_):
        return self

    def forward(self, image):
        self.tried.append((image.device.type, len(image)))
        if len(image) > self.most or image.is_meta:
            raise self.error("out of memory: tried to allocate")
        return torch.cat([image, -image], dim=1)


def wanted():
    return [1 / (1 + np.exp(-np.concatenate([window, -window]))) for window in WINDOWS]


def test_where_memory_is_short_the_batch_is_halved_and_every_map_is_the_same():
    told = []
    network = Crowded(most=1)
    run = Runner(network, batch=4, notice=told.append)
    np.testing.assert_allclose(run(WINDOWS), wanted(), rtol=1e-6)
    assert [size for _, size in network.tried] == [4, 2, 1, 1, 1, 1, 1]
    assert run.batch == 1
    assert [line.split("going on with ")[1] for line in told] == ["2.", "1."]


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, NotImplementedError])
def test_a_window_that_the_device_cannot_compute_is_computed_on_the_cpu(error):
    told = []
    network = Crowded(most=8, error=error)
    maps = Runner(network, device="meta", batch=2, notice=told.append)(WINDOWS)
    np.testing.assert_allclose(maps, wanted(), rtol=1e-6)
    assert sum("on the CPU" in line for line in told) == 1
    assert network.tried.count(("cpu", 1)) == 5


def test_memory_that_runs_out_on_the_cpu_is_an_environment_fault():
    with pytest.raises(EnvironmentFault, match=r"3 × 5 px.*smaller --tile"):
        Runner(Crowded(most=0), batch=2)(WINDOWS)


@pytest.mark.parametrize("error", [RuntimeError, NotImplementedError])
def test_any_other_error_is_not_hidden(error):
    class Broken(nn.Module):
        def forward(self, _):
            raise error("shapes do not match")

    with pytest.raises(error, match="shapes do not match"):
        Runner(Broken(), batch=2)(WINDOWS)


def test_no_gradients_are_kept():
    network = nn.Conv2d(1, 2, 1).eval()
    Runner(network)(WINDOWS)
    assert all(weight.grad is None and weight.requires_grad for weight in network.parameters())
