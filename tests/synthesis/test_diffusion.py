"""Noise in and noise out: by hand, and against distributions for which the best answer is known."""

import pytest
import torch
from torch import nn

from segdistill.synthesis.diffusion import TIMES, Solving, mixed, signal_shares, without_noise

SOLVERS = ("dpm-solver", "ddim")


class Best(nn.Module):
    """What a perfect network would say of images whose pixels are normal about a mean, each by itself."""

    def __init__(self, mean: torch.Tensor, deviation: float) -> None:
        super().__init__()
        self.mean, self.variance = mean, deviation**2

    def forward(self, noisy: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        share = signal_shares().double()[time][:, None, None, None]
        signal, rest = share.sqrt(), (1 - share).sqrt()
        # The mean of the image given what is seen: both are normal.
        gain = signal * self.variance / (share * self.variance + 1 - share)
        image = self.mean + gain * (noisy - signal * self.mean)
        noise = (noisy - signal * image) / rest
        return (signal * noise - rest * image).to(noisy.dtype)


def test_noise_and_velocity_by_hand():
    # A share of 0.64: 0.8 of the image and 0.6 of the noise; velocity 0.8 · noise − 0.6 · image.
    image, noise = torch.tensor([[[[1.0, -1.0, 0.5]]]]), torch.tensor([[[[0.0, 2.0, 1.0]]]])
    noisy, velocity = mixed(image, noise, torch.tensor([0.64]))
    torch.testing.assert_close(noisy, torch.tensor([[[[0.8, 0.4, 1.0]]]]))
    torch.testing.assert_close(velocity, torch.tensor([[[[-0.6, 2.2, 0.5]]]]))
    torch.testing.assert_close(0.8 * noisy - 0.6 * velocity, image)  # both together say what the image is


def test_the_schedule_goes_from_image_to_noise():
    shares = signal_shares()
    assert len(shares) == TIMES
    assert (shares.diff() < 0).all()
    assert shares[0] > 0.999
    assert shares[-1] < 1e-6


@pytest.mark.parametrize("solver", SOLVERS)
def test_one_image_is_found_whatever_the_noise(solver):
    image = torch.linspace(-0.9, 0.9, 24).reshape(1, 1, 4, 6)
    noise = torch.randn(3, 1, 4, 6, generator=torch.Generator().manual_seed(0))
    found = without_noise(Best(image, 0.0), noise, Solving(solver, 10))
    torch.testing.assert_close(found, image.expand(3, 1, 4, 6), atol=2e-2, rtol=0)


@pytest.mark.parametrize(("solver", "steps"), [("dpm-solver", 25), ("ddim", 100)])
def test_normal_pixels_come_out_as_wide_as_they_are(solver, steps):
    # With normal pixels the flow from noise to image multiplies by their deviation.
    noise = torch.randn(2, 1, 30, 40, generator=torch.Generator().manual_seed(1))
    found = without_noise(Best(torch.tensor(0.1), 0.2), noise, Solving(solver, steps))
    torch.testing.assert_close(found, 0.1 + 0.2 * noise, atol=0.03, rtol=0)


def test_what_is_found_stays_in_range():
    found = without_noise(Best(torch.tensor(5.0), 0.0), torch.randn(1, 1, 3, 4), Solving("dpm-solver", 4))
    assert found.abs().max() <= 1
