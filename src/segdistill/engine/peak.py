"""How much memory this process has held."""

import sys

import torch

if sys.platform == "win32":

    def peak_memory() -> int | None:
        """Return None: this system is not asked how much memory a process has held."""
        return None

else:
    import resource

    def peak_memory() -> int | None:
        """Return the most memory that this process has held since it began, bytes; a GPU's is not in it."""
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else 1024 * most


def peak_on_gpu(device: str) -> int | None:
    """Return the most memory of a GPU that tensors of this process have held since it began, bytes; None: no GPU.

    >>> peak_on_gpu("cpu") is None
    True
    """
    return torch.cuda.max_memory_allocated(device) if device.startswith("cuda") else None
