"""`drive`: M2U-Net (ONNX) on colour teaches a student on the green channel, not one label given to the student.

The teacher's authors trained it on DRIVE's labels: those 20 are counted. Tested on `chase_db1`, which
neither has seen, beside a student trained on DRIVE's labels. Fields of view are honoured. With
`--scale-of-drive`, the images of `chase_db1` are brought to the width of those of `drive` first, labels
with them: M2U-Net was made at that scale (experiments/vessels_scale.py).
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from common import run, write_manifest
from segdistill.data.rescale import nearest, resized
from segdistill.settings import Distill, Protocol

NAME = "vessels/drive_to_chase"
SCALED = "vessels/drive_to_chase_scaled"
WIDTH = 565
"""Of the images of DRIVE, pixels."""
PROTOCOL = Protocol(steps=600, batch_size=4, crop=192, ema=0.99, validations=6, scale=(0.75, 1.25))
"""Fixed before the first result was seen."""


def scale_to_drive(chase: Path, out: Path) -> Path:
    """Write the images of CHASE_DB1 as wide as those of DRIVE, and their labels; return the folder."""
    for image in sorted((chase / "images").iterdir()):
        pixels = np.moveaxis(np.asarray(Image.open(image).convert("RGB")), -1, 0)
        label = np.asarray(Image.open(chase / "labels" / f"{image.stem}.png").convert("L"))
        shape = (round(pixels.shape[1] * WIDTH / pixels.shape[2]), WIDTH)
        for kind, content in (
            ("images", np.moveaxis(np.rint(resized(pixels, shape)).astype(np.uint8), 0, -1)),
            ("labels", nearest(label[None], shape)[0]),
        ):
            (out / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(content).save(out / kind / f"{image.stem}.png")
    return out


def manifest(drive: Path, chase: Path, path: Path) -> Path:
    """Write a manifest: 16 fundus images of DRIVE to train on, 4 to validate, CHASE_DB1 to test."""
    rows = []
    for number, image in enumerate(sorted((drive / "images").iterdir())):
        rows.append(
            {
                "image": str(image.resolve()),
                "label": str((drive / "labels" / f"{image.stem}.gif").resolve()),
                "field_of_view": str((drive / "field_of_view" / f"{image.stem}.gif").resolve()),
                "group": f"drive {image.stem}",
                "split": "validation" if number % 5 == 4 else "train",
            }
        )
    for image in sorted((chase / "images").iterdir()):
        rows.append(
            {
                "image": str(image.resolve()),
                "label": str((chase / "labels" / f"{image.stem}.png").resolve()),
                "field_of_view": "",
                "group": f"chase {image.stem[:-1]}",  # left and right eye of one child
                "split": "test",
            }
        )
    return write_manifest(path, rows)


DESCRIPTION = """\
file = "{network}"
channels = ["red", "green", "blue"]
outputs = ["vessel"]
normalisation = "full-range"
activation = "sigmoid"
multiple = 32
licence = "MIT"
labels_seen = 20
note = "M2U-Net (Laibacher et al. 2019), trained by its authors on the labels of DRIVE's 20 training images."
"""


def describe(weights: Path, out: Path) -> Path:
    """Write what the ONNX file does not say of itself."""
    network = (weights / "m2unet" / "m2unet_drive.onnx").resolve()
    path = out / "m2unet_drive.toml"
    path.write_text(DESCRIPTION.format(network=network.as_posix()), encoding="utf-8")
    return path


def main() -> None:
    """Run what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--at-once", type=int, default=1, help="students trained side by side")
    parser.add_argument("--scale-of-drive", action="store_true", help="bring the test images to the width of DRIVE's")
    given = parser.parse_args()
    name, chase = NAME, given.data / "chase_db1"
    if given.scale_of_drive:
        name, chase = SCALED, scale_to_drive(chase, given.runs / "chase_scaled")
    settings = Distill(
        data=manifest(given.data / "drive", chase, given.runs / f"{Path(name).name}.csv"),
        out=given.runs / name,
        structure="vessel",
        label_kind="binary",
        teacher=f"onnx:{describe(given.weights, given.runs).resolve()}",
        teacher_channels=("red", "green", "blue"),
        student="unet-mobilenetv3",
        student_channels=("green",),
        labels=0,
        baseline=False,
        all_labels=True,
        seeds=tuple(given.seeds),
        protocol=PROTOCOL,
        at_once=given.at_once,
    )
    run(name, settings)


if __name__ == "__main__":
    main()
