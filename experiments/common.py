"""What the experiments share: manifests, and results kept as JSON."""

import csv
import json
import platform
import shutil
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from segdistill import __version__
from segdistill.engine.machine import processor
from segdistill.evaluation.metrics import USUAL
from segdistill.files import whole_file, write_json
from segdistill.settings import Distill, open_run
from segdistill.study.conclusion import Finished
from segdistill.study.main_job import SAME_RESULT, distill

RESULTS = Path(__file__).parent / "results"
PICTURES = Path(__file__).resolve().parent.parent / "docs" / "results"


def write_manifest(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write a CSV manifest, the paths as they are."""
    with whole_file(path) as partial, partial.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def run(name: str, settings: Distill, *, extra: Callable[[Finished], dict[str, Any]] = lambda _: {}) -> None:
    """Run the main job unless its result, for all these arms and seeds, is kept already; and keep what came out.

    Args:
        name: Of the result file, such as "livecell_phase/resnet18_fold1".
        settings: Of the job.
        extra: Returns what else to keep, from the finished job.
    """
    path = RESULTS / f"{name}.json"
    if path.exists() and is_kept(json.loads(path.read_text("utf-8")), settings):
        print(f"{name}: done before", flush=True)
        return
    started = time.monotonic()
    finished = distill(settings, notice=lambda text: print(f"{name}: {text}", flush=True))
    write_json(path, summary(settings, finished) | extra(finished) | {"seconds": round(time.monotonic() - started)})
    print(f"{name}: {' '.join(finished.verdict.sentences)}", flush=True)


def lend_teachers(others: Iterable[Path], settings: Distill) -> None:
    """Let a student learn from the teachers already fitted for another one: data and protocol are equal.

    Args:
        others: Run folders of other students, those that are not there yet too.
        settings: Of the student's job.
    """
    for name in settings.teachers():
        fitted = sorted(folder for other in others if (folder := other / "teachers" / name).exists())
        own = settings.out / "teachers" / name
        if fitted and not own.exists():
            with open_run(settings.out, settings.resolved(), ignoring=SAME_RESULT, defaults=Distill.defaults()):
                shutil.copytree(fitted[0], own)


def is_kept(content: Mapping[str, Any], settings: Distill) -> bool:
    """Return whether a result holds every arm and every seed that is asked for."""
    arms = {arm.name for arm in settings.arms()}
    return arms <= set(content["scores"]) and set(settings.seeds) <= set(content["settings"]["seeds"])


def summary(settings: Distill, finished: Finished) -> dict[str, Any]:
    """Return what is kept of a finished job."""
    recorded = json.loads((finished.folder / "run.json").read_text(encoding="utf-8"))
    kept = settings.resolved()
    for place in ("data", "out", "teacher_weights", "control_weights"):
        kept.pop(place)
    kept["teacher"] = kept["teacher"].partition("/")[0].rstrip(":") + ("" if "/" not in kept["teacher"] else ":…")
    return {
        "settings": kept,
        "verdict": {"answer": finished.verdict.answer, "sentences": list(finished.verdict.sentences)},
        "scores": kept_scores(finished, USUAL),
        "split": recorded["split"],
        "student": recorded["student"],
        "minutes": {f"{arm['arm']['name']}/{arm['seed']}": round(arm["seconds"] / 60, 2) for arm in recorded["arms"]},
        "best steps": {f"{arm['arm']['name']}/{arm['seed']}": arm["best_step"] for arm in recorded["arms"]},
        "machine": machine(),
        "segdistill": __version__,
    }


def kept_scores(finished: Finished, metrics: Collection[str]) -> dict[str, Any]:
    """Return every arm's role, labels used, and scores by seed and field."""
    return {
        arm.name: {
            "role": arm.role,
            "labels": arm.labels.total,
            **{
                metric: {"seeds": list(table.seeds), "fields": list(table.fields), "values": table.values.tolist()}
                for metric, table in arm.tables.items()
                if metric in metrics
            },
        }
        for arm in finished.account.values()
    }


def machine() -> dict[str, str]:
    """Return what computed."""
    return {"system": f"{platform.system()} {platform.machine()}", "processor": processor()}
