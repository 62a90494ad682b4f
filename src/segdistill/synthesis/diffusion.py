"""How noise is added to images, what is asked of the network, and how it is taken out again.

Note [Why the velocity]: the network could be asked for the noise instead (epsilon). In an image that is almost all
noise that says nothing of the image, so its mean brightness and colour, which are decided there, drift in models that
were fitted briefly on few images; and few, large steps of a solver divide by almost nothing there. The velocity tells
the noise where there is little of it and the image where there is much.
"""

import warnings
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from segdistill.synthesis.denoiser import diffusers

TIMES = 1000
"""Steps of the schedule, from almost no noise to almost nothing else."""

_SCHEDULE: dict[str, Any] = {
    "num_train_timesteps": TIMES,
    "beta_schedule": "squaredcos_cap_v2",
    "prediction_type": "v_prediction",
}
# Of the logarithm of signal to noise: below it a cosine schedule's last steps are so large that solvers lose their way
# (the bound that diffusers' documentation of the solver recommends).
_LEAST_SIGNAL = -5.1

_ORDERS = {"dpm-solver": 2, "ddim": 1}
"""Of the solver; of first order it is DDIM (Lu et al. 2022, section 4.1)."""


@dataclass(frozen=True)
class Solving:
    """How noise is taken out."""

    solver: Literal["dpm-solver", "ddim"]
    """Who does it."""

    steps: int
    """In how many steps, ≥ 2; each asks the network once."""

    guidance: float = 1.0
    """How far masks are followed where there are any; see ``denoiser.Guided``."""


def signal_shares() -> Float[Tensor, " times"]:
    """Return how much of a noisy image's variance is image, at each step of the schedule.

    Source:
        Nichol, Dhariwal 2021, arXiv:2102.09672, equation 17 (the cosine schedule).
    """
    return diffusers().DDPMScheduler(**_SCHEDULE).alphas_cumprod


def mixed(
    image: Float[Tensor, "b c y x"], noise: Float[Tensor, "b c y x"], share: Float[Tensor, " b"]
) -> tuple[Float[Tensor, "b c y x"], Float[Tensor, "b c y x"]]:
    """Return noisy images, and their velocities.

    Args:
        image: From −1 to 1.
        noise: Normal, of deviation 1.
        share: Of each image's variance that stays image, 0 to 1.

    Source:
        Salimans, Ho 2022, arXiv:2202.00512, appendix D: v = √share · noise − √(1 − share) · image.

    >>> image, noise = torch.ones(1, 1, 1, 2), torch.zeros(1, 1, 1, 2)
    >>> [part.flatten().tolist() for part in mixed(image, noise, torch.tensor([0.25]))]
    [[0.5, 0.5], [-0.8660253882408142, -0.8660253882408142]]
    """
    signal, rest = (part[:, None, None, None] for part in (share.sqrt(), (1 - share).sqrt()))
    return signal * image + rest * noise, signal * noise - rest * image


@torch.no_grad()
def without_noise(denoiser: nn.Module, noise: Float[Tensor, "b c y x"], solving: Solving) -> Float[Tensor, "b c y x"]:
    """Return the images, −1 to 1, that a fitted model finds in noise; equal noise gives equal images.

    Note [Where the steps lie]: evenly in the logarithm of signal to noise. With a cosine schedule and steps that lie
    evenly in time, 25 of them keep 55 % of the contrast of pixels that deviate by 0.05, as fine texture does (DDIM 54
    %); so placed, 99.9 % (measured against normal pixels, for which the answer is known).

    Args:
        denoiser: Tells the velocity of noisy images at times; in evaluation mode, on the device of the noise.
        noise: Normal, of deviation 1.
        solving: How it is taken out.

    Source:
        Lu et al. 2022, arXiv:2211.01095 (DPM-Solver++); Song, Meng, Ermon 2021, arXiv:2010.02502 (DDIM).
    """
    schedule = _solver(solving.solver)
    with warnings.catch_warnings():  # of NumPy, on how the solver hands it a tensor
        warnings.simplefilter("ignore", DeprecationWarning)
        schedule.set_timesteps(solving.steps, device=noise.device)
    schedule.set_begin_index(0)  # else it looks for its first time, and takes the second where two are rounded to one
    sample = noise
    for time in schedule.timesteps:
        times: Int[Tensor, " b"] = time.expand(len(sample)).to(sample.device)
        sample = schedule.step(denoiser(sample, times), time, sample, return_dict=False)[0]
    return sample.clamp(-1, 1)


def _solver(name: str) -> Any:
    return diffusers().DPMSolverMultistepScheduler(
        **_SCHEDULE,
        solver_order=_ORDERS[name],
        use_lu_lambdas=True,
        thresholding=True,  # with these two numbers: what is found is cut to −1..1 at every step
        dynamic_thresholding_ratio=1.0,
        sample_max_value=1.0,
        lambda_min_clipped=_LEAST_SIGNAL,
    )
