"""`livecell_phase`: a teacher on nucleus and phase contrast, students on the nucleus alone, whole cells.

Each of the five HeLa fields is left out in turn; the next one (in a circle) chooses weights and
thresholds, the other three train. Half resolution. The teacher is fitted here, out of fold. Other
cell lines are scored as a shift. Cells are run seed by seed, so that an interrupted queue has whole
folds of the first seeds. The ladder of other steps than the first one's has results of its own.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from common import RESULTS, lend_teachers, run, write_manifest
from segdistill.data.datasets import read_dataset
from segdistill.data.labels import output_names
from segdistill.data.readers import read_image
from segdistill.data.rescale import nearest, resized
from segdistill.data.sample import read_sample
from segdistill.evaluation import score_case
from segdistill.networks.model import load_model
from segdistill.settings import Distill, Protocol
from segdistill.study.arms import RULE, mask_planes
from segdistill.study.conclusion import Finished
from segdistill.training.entries import make_entry
from segdistill.training.validation import entry_maps

HELA = tuple(f"HeLa_joint_set{number}" for number in range(1, 6))
SHIFT = {"3T3": "3T3_set1", "BMDM": "BMDM", "MCF10A": "MCF10A", "RAW264.7": "RAW40X_set1"}
CHANNELS = ("nucleus", "phase")
MAIN = "unet-resnet18"
"""The student of which every arm is trained; of the others baseline and student. And the teacher's network."""

PROTOCOL = Protocol(steps=400, batch_size=4, crop=128, ema=0.99, validations=8, precision="32-true")
"""Of every arm. Rate and augmentation are the fold's own, as livecell_tuning.py found them for the baseline."""
TEACHER_STEPS = 800

TUNING = RESULTS / "livecell_tuning.json"


def fields_of_fold(fold: int) -> tuple[list[str], str, str]:
    """Return the training fields, the validation field and the test field of a fold, counted from 1."""
    test, validation = HELA[fold - 1], HELA[fold % len(HELA)]
    return [name for name in HELA if name not in {test, validation}], validation, test


def protocol_of_fold(fold: int, steps: int) -> Protocol:
    """Return the protocol that tuning chose for a fold, with so many steps."""
    if not TUNING.exists():
        raise SystemExit(f"There is no {TUNING}: run experiments/livecell_tuning.py first.")
    chosen = json.loads(TUNING.read_text("utf-8"))["chosen"][str(fold)]
    return PROTOCOL.model_copy(update=chosen | {"steps": steps})


def halve(data: Path, out: Path, names: Sequence[str]) -> None:
    """Write these fields and their labels at half resolution."""
    for name in names:
        target = out / "images" / f"{name}.tif"
        if target.exists():
            continue
        image = read_image(data / "images" / f"{name}.ome.tif")
        shape = (image.array.shape[1] // 2, image.array.shape[2] // 2)
        labels = nearest(tifffile.imread(data / "labels" / f"{name}.tif")[None], shape)[0]
        (out / "images").mkdir(parents=True, exist_ok=True)
        (out / "labels").mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(out / "labels" / f"{name}.tif", labels.astype(np.uint16))
        pixels = np.rint(resized(image.array, shape)).astype(np.uint16)
        tifffile.imwrite(target, pixels, ome=True, metadata={"axes": "CYX", "Channel": {"Name": list(CHANNELS)}})


def fold_manifest(half: Path, fold: int) -> Path:
    """Write the manifest of the fold that leaves one HeLa field out."""
    _, validation, test = fields_of_fold(fold)
    splits = {test: "test", validation: "validation"}
    rows = [
        {
            "image": f"images/{name}.tif",
            "label": f"labels/{name}.tif",
            "group": name,
            "split": splits.get(name, "train"),
        }
        for name in HELA
    ]
    return write_manifest(half / f"fold{fold}.csv", rows)


def shift_scores(half: Path, finished: Finished) -> dict[str, Any]:
    """Return the scores of every student on the other cell lines."""
    dataset = read_dataset(half, structure="cell", label_kind="instances")
    cases = {case.name: case for case in dataset.cases}
    scores: dict[str, Any] = {}
    for folder in sorted(finished.folder.glob("arms/*/*/model")):
        model = load_model(folder)
        arm, seed = folder.parts[-3:-1]
        for line, name in SHIFT.items():
            sample = read_sample(cases[name], dataset)
            entry = make_entry(sample, channels=model.card.channels, rule=RULE)
            maps = entry_maps(model.module, entry, outputs=len(output_names(dataset.structures)), device="cpu")
            rows = score_case(
                mask_planes(maps, dataset.structures, model.card.thresholds), sample.planes, dataset.structures
            )
            scores.setdefault(arm, {}).setdefault(seed, {})[line] = {row["metric"]: row["value"] for row in rows}
    return {"shift": scores}


def main() -> None:
    """Run what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--student", default=MAIN, help="its arms are baseline and student, but all of the first")
    parser.add_argument("--every-arm", action="store_true", help="of any other student too")
    parser.add_argument("--folds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=PROTOCOL.steps, help="more of them show whether arms converged")
    parser.add_argument("--bf16", action="store_true", help="bfloat16 in training, the teachers' too: half the time")
    given = parser.parse_args()
    half = given.runs / "livecell_half"
    halve(given.data / "livecell_phase", half, [*HELA, *SHIFT.values()])
    kept = "livecell_phase" if given.steps == PROTOCOL.steps else f"livecell_steps_{given.steps}"
    kept += "_bf16" if given.bf16 else ""
    precision = "bf16-mixed" if given.bf16 else PROTOCOL.precision
    for count in range(1, len(given.seeds) + 1):
        for fold in given.folds:
            name = f"{kept}/{given.student.removeprefix('unet-')}_fold{fold}"
            whole = given.every_arm or given.student == MAIN
            settings = Distill(
                data=fold_manifest(half, fold),
                out=given.runs / name,
                label_kind="instances",
                teacher=f"fit:{MAIN}",
                teacher_channels=CHANNELS,
                control=f"fit:{MAIN}" if whole else None,
                student=given.student,
                student_channels=CHANNELS[:1],
                labels=1,
                all_labels=whole,
                targets_alone=whole,
                seeds=tuple(given.seeds[:count]),
                protocol=protocol_of_fold(fold, given.steps).model_copy(update={"precision": precision}),
                teacher_steps=TEACHER_STEPS,
            )
            if given.student != MAIN:
                lend_teachers(given.runs.glob(f"{kept}/*_fold{fold}"), settings)
            run(name, settings, extra=lambda finished: shift_scores(half, finished))


if __name__ == "__main__":
    main()
