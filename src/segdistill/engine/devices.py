"""Choosing a device that works, and saying so."""

import warnings
from collections.abc import Callable

import torch

from segdistill.errors import EnvironmentFault


def select_device(name: str, *, notice: Callable[[str], None], index: int = 0) -> torch.device:
    """Return a device that has been seen to compute.

    Args:
        name: "cpu", "cuda", "mps", or "auto" for the first of CUDA, MPS and CPU that works.
        notice: Told, in one line, why "auto" fell back to the CPU.
        index: Which NVIDIA GPU, for the process that is this one on its machine.

    Raises:
        EnvironmentFault: This very device was asked for and does not work.

    >>> select_device("cpu", notice=print)
    device(type='cpu')
    """
    if name == "cpu":
        return torch.device("cpu")
    if name == "mps" or (name == "auto" and torch.backends.mps.is_available()):
        return _mps()
    trouble = _cuda_trouble(index)
    if trouble is None:
        return torch.device("cuda", index)
    if name == "cuda":
        raise EnvironmentFault(
            f"device is 'cuda', but no NVIDIA GPU can be used: {trouble}. Choose device 'cpu' or 'auto'."
        )
    notice(f"No GPU can be used ({trouble}): computing on the CPU.")
    return torch.device("cpu")


def emulates_bfloat16() -> bool:
    """Return whether this processor has no instructions for bfloat16, which makes it slow beyond use.

    Measured with AVX2 alone: a step of ``unet-resnet18`` at 4 × 128² took 28 s, in float32 1.3 s.
    """
    return torch.backends.cpu.get_cpu_capability() in {"AVX2", "NO AVX"}


def _mps() -> torch.device:
    if not torch.backends.mps.is_available():
        raise EnvironmentFault("device is 'mps', but this machine has no Apple GPU that PyTorch can use. Choose 'cpu'.")
    return torch.device("mps")


def _cuda_trouble(index: int) -> str | None:
    """Return why CUDA cannot compute, or None where it just did."""
    if torch.version.cuda is None and torch.version.hip is None:
        return "this PyTorch was built without CUDA"
    with warnings.catch_warnings(record=True) as heard:  # a broken driver is a warning, then False
        warnings.simplefilter("always")
        available = torch.cuda.is_available()
    if not available:
        return _first_line(str(heard[0].message)) if heard else "none was found"
    try:
        torch.ones(1, device=torch.device("cuda", index)).add_(1).item()
    except RuntimeError as error:  # whatever the driver says, it says as this
        return _first_line(str(error))
    return None


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0].rstrip(".")
