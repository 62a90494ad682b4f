"""`chest_organs`: encoders that learnt by themselves on other images teach one light encoder; alone, and balanced.

No weights of large encoders can be had here, so the teachers are made: vision transformers (ViT-Tiny) that learnt
without a label, one by masked autoencoding of breast ultrasound, one by telling images of nuclei and of the eye apart,
one by masked autoencoding of the chest radiographs of the training part. Each must beat its own random weights by a
linear probe on radiographs that none has seen. The student's encoder then learns them, one at a time and together with
every balancing, on the training radiographs alone; and students that begin with it are compared with one that begins at
random. Everything was fixed before the first result was seen; no result is the paper's.
"""

import argparse
import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from common import RESULTS, kept_scores, machine, write_manifest
from mixture import manifests
from segdistill.files import write_json
from segdistill.settings import Agglomerate, Pretrain, Study, validated
from segdistill.study import agglomerate, pretrain, study
from segdistill.study.study_account import conclude_study

NAME = "agglomeration"
STUDENT = "unet-mobilenetv3"
CHANNELS = ("luma",)
TEACHERS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "ultrasound": ("masked", ("lesions",)),
    "cells-and-eyes": ("contrast", ("nuclei", "vessels")),
    "chest": ("masked", ("chest",)),
}
"""Teacher to how it learnt, and on which of the data sets of experiments/mixture.py."""
TEACHING = {"steps": 2000, "batch_size": 16, "crop": 128, "flips": False, "turns": False}
SHARED = {"steps": 1000, "batch_size": 8, "size": 256, "validations": 5}
STUDYING = {"steps": 400, "batch_size": 4, "crop": 192, "ema": 0.99, "validations": 8, "flips": False, "turns": False}
BALANCINGS: Mapping[str, Mapping[str, Any]] = {
    "uniform": {"balancing": "uniform"},
    "dropping": {"balancing": "dropping"},
    "mlp": {"balancing": "mlp"},
    "attention": {"balancing": "attention"},
    "mlp-as-printed": {"balancing": "mlp", "floor": 0.0, "entropy": 0.0},
    "attention-as-printed": {"balancing": "attention", "floor": 0.0, "entropy": 0.0},
}
"""Arm to its settings, of all teachers together."""
LABELS = (4, "all")


def lesson(named: Mapping[str, Path], teacher: str, out: Path) -> Path:
    """Write the manifest of a teacher's images: all of other data sets, of the radiographs the training part."""
    rows = []
    for source in TEACHERS[teacher][1]:
        with named[source].open(encoding="utf-8", newline="") as handle:
            rows += [
                {"image": row["image"], "name": row["name"], "group": row["group"], "split": "train"}
                for row in csv.DictReader(handle)
                if source != "chest" or row["split"] == "train"
            ]
    return write_manifest(out / f"{teacher}.csv", rows)


def teaching(named: Mapping[str, Path], teacher: str, out: Path, steps: int) -> Pretrain:
    """Return the settings by which a teacher is made."""
    return validated(
        Pretrain,
        {
            "data": lesson(named, teacher, out),
            "out": out / "teachers" / teacher,
            "split": (1.0, 0.0, 0.0),
            "how": TEACHERS[teacher][0],
            "student_channels": CHANNELS,
            "protocol": TEACHING | {"steps": steps},
        },
    )


def encoders(named: Mapping[str, Path], out: Path, steps: int) -> Iterator[tuple[str, Agglomerate]]:
    """Yield the agglomerations by the name of their arm: each teacher alone, all but one, all by every balancing."""
    ways = {f"{teacher}-alone": ((teacher,), {"balancing": "uniform"}) for teacher in TEACHERS}
    every = tuple(TEACHERS)
    ways |= {f"without-{left}": (tuple(t for t in every if t != left), {"balancing": "uniform"}) for left in every}
    ways |= {name: (every, own) for name, own in BALANCINGS.items()}
    for name, (teachers, own) in ways.items():
        yield (
            name,
            validated(
                Agglomerate,
                {
                    "data": named["chest"],
                    "out": out / "encoders" / name,
                    "label_kind": "binary",
                    "teachers": tuple(f"encoder:{(out / 'teachers' / teacher).resolve()}" for teacher in teachers),
                    "teacher_channels": CHANNELS,
                    "student": STUDENT,
                    "student_channels": CHANNELS,
                    "targets": out / "targets",
                    "views": 4,
                    "mirrored_views": False,
                    "turned_views": False,
                    "probe": True,
                    "protocol": SHARED | {"steps": steps},
                    **own,
                },
            ),
        )


def comparison(named: Mapping[str, Path], out: Path, seeds: list[int], steps: int) -> Study:
    """Return the study of students that begin with each encoder, and of one that begins at random."""
    arms = [{"name": "scratch"}]
    arms += [
        {"name": name, "encoder_weights": out / "encoders" / name / "encoder"} for name, _ in encoders(named, out, 1)
    ]
    return validated(
        Study,
        {
            "data": named["chest"],
            "out": out / "study",
            "label_kind": "binary",
            "student_channels": CHANNELS,
            "students": (STUDENT,),
            "arms": arms,
            "labels": LABELS,
            "seeds": tuple(seeds),
            "protocol": STUDYING | {"steps": steps},
        },
    )


def main() -> None:
    """Run what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--teaching-steps", type=int, default=TEACHING["steps"], help="fewer: only to see that it runs")
    parser.add_argument("--shared-steps", type=int, default=SHARED["steps"], help="likewise")
    parser.add_argument("--study-steps", type=int, default=STUDYING["steps"], help="likewise; then nothing is kept")
    given = parser.parse_args()
    out = given.runs / NAME
    named = manifests(given.data, given.runs / "mixture" / "data")
    for teacher in TEACHERS:
        pretrain(teaching(named, teacher, out, given.teaching_steps), notice=_saying(f"teacher {teacher}"))
    accounts = {}
    for name, settings in encoders(named, out, given.shared_steps):
        accounts[name] = agglomerate(settings, notice=_saying(name)).account
    settings = comparison(named, out, given.seeds, given.study_steps)
    done = conclude_study(settings, study(settings, notice=_saying("study")))
    finished = done.students[STUDENT]
    print(" ".join(finished.verdict.sentences), flush=True)
    if given.study_steps != STUDYING["steps"]:
        return
    content = {
        "student": STUDENT,
        "seeds": given.seeds,
        "protocols": {"teachers": TEACHING, "agglomeration": SHARED, "study": STUDYING},
        "made": {teacher: {"how": how, "on": list(on)} for teacher, (how, on) in TEACHERS.items()},
        "probe": accounts["uniform"]["probe"],
        "encoders": {name: _of_encoder(account) for name, account in accounts.items()},
        "arms": kept_scores(finished, ("dice", "hd95")),
        "machine": machine(),
    }
    write_json(RESULTS / f"{NAME}.json", content)


def _saying(who: str) -> Any:
    return lambda text: print(f"{NAME}/{who}: {text}", flush=True)


def _of_encoder(account: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is kept of an agglomeration: how well its teachers are said, and who was lost."""
    return {
        "balancing": account["balancing"],
        "teachers": {each["label"]: each.get("heads_trained", {}).get("cosine") for each in account["teachers"]},
        "collapsed": [each["sentence"] for each in account["collapsed"]],
        "probe": account["probe"]["student"],
        "last shares": account["shares"][-1] if account["shares"] else {},
    }


if __name__ == "__main__":
    main()
