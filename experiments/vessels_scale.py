"""How large vessels must appear to M2U-Net: its Dice on `chase_db1` as the images are, and at the scale of `drive`.

The retinas of `chase_db1` are about 1.7 times as wide, in pixels, as those of `drive`, on which the network was made.
The images are brought to drive's width, the maps back to their own size; nothing is trained, nothing chosen.
"""

import argparse
from pathlib import Path

import numpy as np

from common import RESULTS
from segdistill.data.datasets import read_dataset
from segdistill.data.rescale import resized
from segdistill.data.sample import read_sample
from segdistill.evaluation.overlap import dice
from segdistill.files import write_json
from segdistill.inference.windows import view_of
from segdistill.teachers import load_teacher
from vessels import describe

COLOURS = ("red", "green", "blue")


def main() -> None:
    """Score every image at both scales."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    given = parser.parse_args()
    given.runs.mkdir(parents=True, exist_ok=True)
    teacher = load_teacher(f"onnx:{describe(given.weights, given.runs).resolve()}", channels=COLOURS, device="cpu")
    sets = {
        name: read_dataset(given.data / name, structure="vessel", label_kind="binary")
        for name in ("drive", "chase_db1")
    }
    drive, chase = ([read_sample(case, own) for case in own.cases] for own in sets.values())
    widths = {name: [each.image.array.shape[2] for each in own] for name, own in (("drive", drive), ("chase", chase))}
    factor = float(np.mean(widths["drive"]) / np.mean(widths["chase"]))
    rows = {}
    for sample in chase:
        height, width = sample.image.array.shape[1:]
        seen = view_of(sample.image, COLOURS, teacher.contract.rule).read((slice(0, height), slice(0, width)))
        small = resized(seen, (round(height * factor), round(width * factor))).astype(np.float32)
        label = sample.planes[0] > 0
        rows[sample.name] = {
            "as it is": dice(teacher.maps(seen)[0] > 0.5, label),
            "at the scale of drive": dice(resized(teacher.maps(small), (height, width))[0] > 0.5, label),
        }
        print(sample.name, rows[sample.name], flush=True)
    means = {scale: float(np.mean([row[scale] for row in rows.values()])) for scale in next(iter(rows.values()))}
    write_json(RESULTS / "vessels_scale.json", {"factor": factor, "dice": means, "by image": rows})


if __name__ == "__main__":
    main()
