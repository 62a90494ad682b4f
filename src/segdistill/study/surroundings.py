"""On what something was made: versions and machine."""

import torch

from segdistill.engine import machine as machine_facts

PACKAGES = (
    "torch",
    "torchvision",
    "timm",
    "segmentation-models-pytorch",
    "transformers",
    "lightning",
    "numpy",
    "scipy",
)


def versions() -> dict[str, str]:
    """Return the versions that decide a result."""
    return machine_facts.versions(PACKAGES)


def machine(device: str) -> dict[str, str]:
    """Return what kind of machine this is; nothing that names it or its owner."""
    gpu = torch.cuda.get_device_name(0) if device.startswith("cuda") else "none used"
    return {
        **machine_facts.machine(),
        "threads": str(torch.get_num_threads()),
        "device": device,
        "GPU": gpu,
    }


def machine_in_words(device: str) -> str:
    """Return on what networks run here, for a caption."""
    facts = machine(device)
    if device.startswith("cuda"):
        return facts["GPU"]
    return f"{facts['threads']} thread{'' if facts['threads'] == '1' else 's'} of {facts['processor']}"
