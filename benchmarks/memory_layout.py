"""Whether students should keep their maps channels last on a processor: a step forward and back, both layouts.

`unet-tiny` does, since it gains; the others, which do not, take images as they come.

Both sides are the same weights in one run, in turn; the least of each counts, since whatever else the machine does only
adds time. The ratio is that of channels last to whole planes, below 1 where it is quicker.
"""

import time

import torch
from torch import Tensor, nn

from common import keep
from segdistill.networks.build import build_student

STUDENTS = ("unet-tiny", "unet-mobilenetv3", "unet-efficientnet-b0", "unet-resnet18", "unet-swin-tiny")
BATCH, SIDE, ROUNDS = 4, 128, 15
LAYOUTS = {"whole planes": torch.contiguous_format, "channels last": torch.channels_last}


def seconds(network: nn.Module, image: Tensor) -> float:
    """Return how long a step forward and back takes."""
    began = time.perf_counter()
    network(image).sum().backward()
    return time.perf_counter() - began


def main() -> None:
    """Measure and keep."""
    found: dict[str, float] = {}
    for name in STUDENTS:
        network = build_student(name, channels=1, outputs=2).get_submodule("network")
        image = torch.rand(BATCH, 1, SIDE, SIDE)
        images = {layout: image.to(memory_format=form) for layout, form in LAYOUTS.items()}
        for each in images.values():
            seconds(network, each)  # kernels are made
        times: dict[str, list[float]] = {layout: [] for layout in images}
        for _ in range(ROUNDS):
            for layout, each in images.items():
                times[layout].append(seconds(network, each))
        least = {layout: min(values) for layout, values in times.items()}
        found |= {f"{name}, {layout}, least of {ROUNDS}, ms": round(1e3 * least[layout], 1) for layout in LAYOUTS}
        found[f"{name}, ratio"] = round(least["channels last"] / least["whole planes"], 3)
    keep("memory_layout", found)


if __name__ == "__main__":
    main()
