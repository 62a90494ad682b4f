"""`mibi` and `codex`: real tools' maps of one field each teach a student on the nucleus alone.

One field is one field (n = 1): its left half trains, its right half tests, a strip of 64 pixels
between them is left out, and nothing here is more than a demonstration. `codex` was labelled by two
experts who disagree: one run against each.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tifffile

from common import run, write_manifest
from segdistill.data.readers import read_image
from segdistill.settings import Distill, Protocol

GUARD = 64
PROTOCOL = Protocol(steps=400, batch_size=4, crop=128, ema=0.99, validations=5)
"""Fixed before the first result was seen."""

MIBI = """\
scale = 127
licence = "MIT"
note = "Interior and border probabilities of a pretrained two-channel network, stored in 7 bits."
[outputs]
cell = ["interior", "border"]
"cell.boundary" = ["border"]
"""
CODEX = """\
kind = "labels"
licence = "MIT"
note = "Cells as DeepCell 0.9.0 found them from nucleus and membrane; made by a real tool, not by us."
[outputs]
cell = [""]
"""


def parts(height: int, width: int) -> dict[str, tuple[str, slice, slice]]:
    """Return name to split and window: three pieces of the left half, the right half, guards between."""
    middle, third = width // 2, height // 3
    left, right = slice(0, middle - GUARD // 2), slice(middle + GUARD // 2, width)
    return {
        "top_left": ("train", slice(0, third - GUARD // 2), left),
        "middle_left": ("train", slice(third, 2 * third - GUARD), left),
        "bottom_left": ("validation", slice(2 * third, height), left),
        "right": ("test", slice(0, height), right),
    }


def cut(image: Path, label: Path, maps: Mapping[str, Path], out: Path, *, description: str) -> Path:
    """Write the pieces of a field, its labels and its teacher's maps; return the manifest."""
    whole = read_image(image)
    rows = []
    for name, (split, rows_of, columns) in parts(*whole.array.shape[1:]).items():
        target = out / "images" / f"{name}.tif"
        for path in (target, out / "labels" / f"{name}.tif", *(_map_file(out, name, part) for part in maps)):
            path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.ascontiguousarray(whole.array[:, rows_of, columns])
        tifffile.imwrite(target, pixels, ome=True, metadata={"axes": "CYX", "Channel": {"Name": list(whole.channels)}})
        tifffile.imwrite(out / "labels" / f"{name}.tif", tifffile.imread(label)[rows_of, columns])
        for part, source in maps.items():
            tifffile.imwrite(_map_file(out, name, part), tifffile.imread(source)[rows_of, columns])
        rows.append({"image": f"images/{name}.tif", "label": f"labels/{name}.tif", "group": name, "split": split})
    (out / "maps.toml").write_text('folder = "maps"\n' + description, encoding="utf-8")
    return write_manifest(out / "pieces.csv", rows)


def _map_file(out: Path, name: str, part: str) -> Path:
    """Return where a piece's map lies; maps are looked up by the name of the case."""
    case = Path("images") / name
    return out / "maps" / (case / f"{part}.tif" if part else case.with_suffix(".tif"))


def main() -> None:
    """Run what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", nargs="+", choices=("mibi", "codex_expert1", "codex_expert2"), default=None)
    given = parser.parse_args()
    codex, mibi = given.data / "codex", given.data / "mibi"
    field = "X003_Y004"
    jobs = {
        "mibi": (
            mibi / "images" / "point8.ome.tif",
            mibi / "labels" / "point8.tif",
            {name: mibi / "teacher_maps" / "point8" / f"pixel_{name}.tif" for name in ("interior", "border")},
            MIBI,
        )
    }
    for expert in ("expert1", "expert2"):
        jobs[f"codex_{expert}"] = (
            codex / "images" / f"{field}.ome.tif",
            codex / "labels" / field / f"{expert}.tif",
            {"": codex / "tools" / field / "DeepCell-0.9.0_membrane.tif"},
            CODEX,
        )
    for name in given.only or jobs:
        image, label, maps, description = jobs[name]
        folder = given.runs / "pieces" / name
        manifest = cut(image, label, maps, folder, description=description)
        settings = Distill(
            data=manifest,
            out=given.runs / "tissue" / name,
            label_kind="instances",
            teacher=f"maps:{folder.resolve() / 'maps.toml'}",
            teacher_channels=("nucleus", "membrane"),
            student="unet-mobilenetv3",
            student_channels=("nucleus",),
            targets_alone=True,
            seeds=tuple(given.seeds),
            protocol=PROTOCOL,
        )
        run(f"tissue/{name}", settings)


if __name__ == "__main__":
    main()
