"""The same question as nuclei.py where cells touch: seeds from boundaries, or from the mask alone. Simulated tissue.

The students that a run of the demo taught with all labels are used as they are; foreground, seed threshold and
smoothing of each way are tuned on the demo's validation fields, and its test fields are scored.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from common import RESULTS, machine
from nuclei import Cut, by_boundaries, by_mask, scores, tuned
from segdistill.data.sample import read_sample
from segdistill.files import write_json
from segdistill.networks import load_model
from segdistill.settings import Images
from segdistill.study.arms import RULE
from segdistill.study.preparation import open_dataset
from segdistill.training.entries import make_entry
from segdistill.training.validation import entry_maps

ARM = "all-labels"
WAYS: Mapping[str, Cut] = {"boundaries": by_boundaries, "mask alone": by_mask}


def main() -> None:
    """Compare both, and keep the scores."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--demo", type=Path, required=True, help="folder of a finished run of `segdistill demo`")
    given = parser.parse_args()
    dataset = open_dataset(Images(data=given.demo / "images", label_sets=("cell",), label_kind="instances"))
    split = json.loads((given.demo / "run" / "run.json").read_text(encoding="utf-8"))["split"]
    cases = {case.name: case for case in dataset.cases}
    found: dict[str, dict[str, dict]] = {}
    for folder in sorted((given.demo / "run" / "arms" / ARM).iterdir()):
        model = load_model(folder / "model")
        maps = {}
        for part in ("validation", "test"):
            entries = [
                make_entry(read_sample(cases[name], dataset), channels=model.card.channels, rule=RULE)
                for name in split[part]
            ]
            maps[part] = [(entry_maps(model.module.eval(), entry, outputs=2, device="cpu"), entry) for entry in entries]
        for name, cut in WAYS.items():
            best = tuned(cut, maps["validation"])
            values = scores(cut, maps["test"], *best)
            cuts = dict(zip(("foreground", "seed", "smoothing"), best, strict=True))
            found.setdefault(name, {})[folder.name] = {**cuts, "ap50": values}
            print(f"seed {folder.name}, {name}: {np.mean(list(values.values())):.4f} at {best}", flush=True)
    sizes = {part: len(split[part]) for part in ("validation", "test")}
    student = f"unet-tiny, arm {ARM} of the demo"
    write_json(RESULTS / "dense.json", {"student": student, "fields": sizes, "ways": found, "machine": machine()})


if __name__ == "__main__":
    main()
