"""`codex`: how far two experts agree on the field, which is the ceiling of any student, and how the published tools do.

The right half alone, on which the students of tissue.py are tested. Two experts who label the same cells differently
cannot both be met: what one of them scores against the other is the most that a student can be asked for.
"""

import argparse
from pathlib import Path

import tifffile

from common import RESULTS, machine
from segdistill import __version__
from segdistill.data.labels import Structure
from segdistill.evaluation.scores import score_case
from segdistill.files import write_json
from tissue import parts

FIELD = "X003_Y004"
METRICS = ("dice", "ap50", "f1", "pq")
EXPERTS = ("expert1", "expert2")


def main() -> None:
    """Score and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    codex = parser.parse_args().data / "codex"
    whole = {name: tifffile.imread(codex / "labels" / FIELD / f"{name}.tif") for name in EXPERTS}
    whole |= {path.stem: tifffile.imread(path) for path in sorted((codex / "tools" / FIELD).glob("*.tif"))}
    _, rows_of, columns = parts(*whole["expert1"].shape)["right"]
    masks = {name: mask[None, rows_of, columns].astype("int32") for name, mask in whole.items()}
    scores: dict[str, dict[str, dict[str, float]]] = {}
    for expert in EXPERTS:
        scores[expert] = {
            name: {
                row["metric"]: round(float(row["value"]), 4)
                for row in score_case(mask, masks[expert], [Structure("cell", instances=True)], metrics=METRICS)
            }
            for name, mask in masks.items()
            if name != expert
        }
    cells = {name: len(set(masks[name].ravel().tolist()) - {0}) for name in masks}
    kept = {"against": scores, "cells": cells, "machine": machine(), "segdistill": __version__}
    write_json(RESULTS / "experts.json", kept)
    for expert, others in scores.items():
        for name, values in others.items():
            print(f"{name} against {expert}: {values}")


if __name__ == "__main__":
    main()
