"""What students take for a megapixel, beside the image encoder of a full-size SAM ViT-H. Wanted: 1000 times less.

SAM sees every image as a square of 1024 × 1024 px; its encoder is timed on one, in 32 bits and in bfloat16, and the
quicker counts. Random weights, as time does not depend on them. Students learnt a minute from simulated tissue, are
exported, and run an image of 1024 × 1536 px by windows whose borders are computed too; of everything that runs them the
quickest counts. For a smaller image SAM takes the same time, and a student less: so per image of 512 × 512 px too.
"""

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np
import torch

from common import keep
from full_size_sam import timed, write_random
from segdistill.export import bench, export
from segdistill.settings import Bench, Export
from segdistill.teachers import TeacherOptions, load_teacher
from segdistill.teachers.sam import SamTeacher, encode
from students import trained
from tiled_inference import FIELDS, write_calibration

WANTED = 1000
SAM_MEGAPIXELS = 1024 * 1024 / 1e6
SMALL = 512 * 512 / 1e6


def encoder_seconds(precision: str, rounds: int) -> float:
    """Return the least time of SAM ViT-H's encoder on one image."""
    image = np.random.default_rng(0).random((3, 1024, 1024), dtype=np.float32)
    with tempfile.TemporaryDirectory() as folder:
        write_random(Path(folder), "sam-vit-h")
        teacher = load_teacher(
            "sam-vit-h",
            channels=("red", "green", "blue"),
            prompting="boxes",
            weights=Path(folder),
            device="cpu",
            options=TeacherOptions(precision=precision),
        )
    assert isinstance(teacher, SamTeacher)
    with torch.inference_mode():
        return min(timed(lambda: encode(teacher.model, image)) for _ in range(rounds))


def student_milliseconds(name: str, folder: Path, *, steps: int, threads: int) -> dict[str, float]:
    """Return milliseconds per megapixel by everything that runs the student."""
    trained(folder / "model", name, steps=steps, fields=FIELDS, crop=256, batch=4, rate=1e-3, nuclei=True)
    calibration = write_calibration(folder / "calibration")
    formats = ("onnx", "openvino-fp32", "openvino-bf16", "openvino-int8")
    export(
        Export(model=folder / "model", out=folder / "exported", formats=formats, calibration=(calibration,)),
        notice=print,
    )
    found = bench(
        Bench(model=folder / "model", exported=folder / "exported", side=1024, threads=threads),
        notice=lambda text: print(text, flush=True),
    )
    return {each.backend: round(each.ms_per_megapixel, 2) for each in found.timed}


def main() -> None:
    """Measure and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--students", nargs="+", default=["unet-tiny", "unet-mobilenetv3", "unet-resnet18"])
    parser.add_argument("--steps", type=int, default=150, help="of training")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    sam = {precision: encoder_seconds(precision, given.rounds) for precision in ("float32", "bfloat16")}
    found: dict[str, object] = {
        f"SAM ViT-H's encoder in {precision}, ms per megapixel": round(1e3 * seconds / SAM_MEGAPIXELS)
        for precision, seconds in sam.items()
    }
    for name in given.students:
        with tempfile.TemporaryDirectory() as scratch:
            taken = student_milliseconds(name, Path(scratch), steps=given.steps, threads=given.threads)
        found |= {f"{name} by {backend}, ms per megapixel": value for backend, value in taken.items()}
        least = min(taken.values())
        found[f"SAM's encoder / {name}, time per megapixel"] = round(
            1e3 * min(sam.values()) / SAM_MEGAPIXELS / least, 1
        )
        found[f"SAM's encoder / {name}, time per image of 512 × 512 px"] = round(
            1e3 * min(sam.values()) / (SMALL * least), 1
        )
    keep("against_sam", {"wanted": WANTED, **found})


if __name__ == "__main__":
    main()
