"""What a full-size SAM costs as a teacher: one image through the encoder, and answers to prompts.

Random weights, as published ones cannot be shipped: time and memory do not depend on them. The file
is written in the hub's layout and comes back through ``load_teacher``, so the whole way is measured.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import SamModel

from common import keep
from segdistill.teachers import Hint, TeacherOptions, load_teacher
from segdistill.teachers.sam import SamTeacher, encode
from segdistill.teachers.sam_sizes import FULL_SIZE, full_size_config


def write_random(folder: Path, name: str) -> int:
    """Write random weights in the hub's layout; return their number, the shared table counted once."""
    with torch.device("meta"):
        shapes = {key: value.shape for key, value in SamModel(full_size_config(name)).state_dict().items()}
    generator = torch.Generator().manual_seed(0)
    state = {key: torch.randn(shape, generator=generator) * 0.02 for key, shape in shapes.items()}
    state.pop("prompt_encoder.shared_embedding.positional_embedding")
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(full_size_config(name).to_dict()))
    return sum(value.numel() for value in state.values())


def timed(what: Callable[[], object]) -> float:
    """Return seconds, the device's work included."""
    began = time.perf_counter()
    what()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return round(time.perf_counter() - began, 2)


def peak_gigabytes() -> float:
    """Return the peak of resident memory so far."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9, 2)


def main() -> None:
    """Measure one size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", choices=FULL_SIZE, default="sam-vit-h")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--threads", type=int, default=0, help="0: as torch decides")
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    image = np.random.default_rng(0).random((3, 1024, 1024), dtype=np.float32)
    labels = np.kron(np.arange(1, 17).reshape(4, 4), np.ones((256, 256), np.int32)).astype(np.int32)
    with tempfile.TemporaryDirectory() as folder:
        parameters = write_random(Path(folder), given.name)
        loading = time.perf_counter()
        teacher = load_teacher(
            given.name,
            channels=("red", "green", "blue"),
            prompting="boxes",
            weights=Path(folder),
            device=given.device,
            options=TeacherOptions(precision=given.precision),
        )
        loaded = round(time.perf_counter() - loading, 2)
    if not isinstance(teacher, SamTeacher):
        sys.exit(f"{given.name} is no SAM.")
    with torch.inference_mode():
        encoding = timed(lambda: encode(teacher.model, image))
    whole = timed(lambda: teacher.maps(image, Hint("field", {"cell": labels})))
    suffix = "" if (given.device, given.precision) == ("cpu", "float32") else f"_{given.device}_{given.precision}"
    device = f"{given.device}, {torch.cuda.get_device_name()}" if given.device.startswith("cuda") else given.device
    keep(
        f"full_size_{given.name.replace('-', '_')}{suffix}",
        {
            "device": device,
            "precision": given.precision,
            "parameters": parameters,
            "seconds to load": loaded,
            "seconds of the encoder, one image of 1024 x 1024": encoding,
            "seconds with 16 boxes": whole,
            "peak memory of the process, GB": peak_gigabytes(),
        },
    )


if __name__ == "__main__":
    main()
