"""One student for chest organs, vessels, nuclei and lesions together, against four specialists of the same network.

The four data sets are mixed in one training; a structure that nobody outlined in an image counts for nothing there.
Every image becomes one grey channel, bright on dark. The specialists have as many steps as the generalist; a second
generalist has four times as many. There is no teacher here: what is asked is what one network for everything costs.
Nothing was tuned for any of them.
"""

import argparse
import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Picture

from common import RESULTS, machine, write_manifest
from segdistill.data.case import Case
from segdistill.data.channels import select
from segdistill.data.datasets import Dataset, read_dataset
from segdistill.data.duplicates import joined_groups, near_duplicate_groups
from segdistill.data.rescale import nearest, resized
from segdistill.data.sample import Sample, read_sample
from segdistill.data.splits import split_cases
from segdistill.evaluation import score_tables
from segdistill.files import write_json
from segdistill.settings import Protocol, Study, validated
from segdistill.study import study

NAME = "mixture"
STUDENT = "unet-mobilenetv3"
PROTOCOL = Protocol(steps=800, batch_size=4, crop=192, ema=0.99, validations=8, intensity=0.1, flips=False, turns=False)
"""Fixed before the first result was seen. A mirrored chest would change its lungs' names."""
LONGER = 4
"""Times as many steps has the second generalist."""
SPLIT = (0.6, 0.1, 0.3)
METRICS = ("dice", "hd95")


@dataclass(frozen=True)
class Source:
    """One of the data sets, and what is taken of it."""

    folder: str
    """Below the folder of all data."""

    kind: str
    """Of its labels."""

    structures: tuple[str, ...]
    """Its label sets here; of bits, from the lowest."""

    channel: str = "luma"
    """The one that is kept."""

    side: int | None = None
    """Its images' longer side becomes this, pixels; None: they stay as they are."""

    most: int | None = None
    """As many of its images are drawn; None: all are taken."""


SOURCES = {
    "chest": Source("chest_organs", "bits", ("right-lung", "left-lung", "heart", "airways"), side=256),
    "vessels": Source("drive", "binary", ("vessel",), channel="green"),
    "nuclei": Source("bbbc038", "instances", ("nucleus",), most=100),
    "lesions": Source("busi", "binary", ("lesion",), side=256),
}


def write_source(name: str, source: Source, data: Path, out: Path) -> list[dict[str, str]]:
    """Write the images of a data set as the students see them, and a mask for each structure; return manifest rows."""
    dataset = read_dataset(data / source.folder, structure=source.structures[0], label_kind=source.kind)  # pyright: ignore[reportArgumentType]
    parts = split_cases(chosen(source, dataset), fractions=SPLIT, seed=0)
    return [
        row
        | {"name": f"{name}/{case.name}", "group": f"{name} {case.group or case.name}", "split": part, "#source": name}
        for part, cases in parts.items()
        for case in cases
        for row in [write_case(source, read_sample(case, dataset), out / name, Path(case.name).name)]
    ]


def chosen(source: Source, dataset: Dataset) -> Sequence[Case]:
    """Return the images that are taken, near-duplicates in one group."""
    cases = joined_groups(dataset.cases, near_duplicate_groups(dataset.cases))
    if source.most is None:
        return cases
    order = np.random.default_rng(0).permutation(len(cases))[: source.most]
    return [cases[place] for place in sorted(order)]


def write_case(source: Source, sample: Sample, out: Path, name: str) -> dict[str, str]:
    """Write one image, its masks and its field of view; return its cells of the manifest."""
    image = sample.image
    grey = select(image.array, image.channels, (source.channel,), source=image.source)[0].astype(np.float32)
    grey = (grey - grey.min()) / max(float(np.ptp(grey)), 1e-6)
    if source.kind == "instances" and np.median(grey) > 1 / 3:
        grey = 1 - grey  # stained tissue and bright field become bright on dark
    shape = _shape(grey.shape, source.side)
    files = {"image": out / "images" / f"{name}.png"}
    _write(files["image"], np.rint(resized(grey[None], shape)[0] * 255))
    for structure, plane in zip(source.structures, sample.planes, strict=True):
        files[f"label:{structure}"] = out / structure / f"{name}.png"
        _write(files[f"label:{structure}"], nearest((plane > 0)[None].astype(np.uint8) * 255, shape)[0])
    if sample.counts is not None and not sample.counts.all():
        files["field_of_view"] = out / "field_of_view" / f"{name}.png"
        _write(files["field_of_view"], nearest(sample.counts[None].astype(np.uint8) * 255, shape)[0])
    return {column: str(path.resolve()) for column, path in files.items()}


def _shape(found: tuple[int, ...], side: int | None) -> tuple[int, int]:
    factor = 1.0 if side is None else side / max(found)
    return round(found[0] * factor), round(found[1] * factor)


def _write(path: Path, content: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Picture.fromarray(content.clip(0, 255).astype(np.uint8)).save(path)


def manifests(data: Path, out: Path) -> dict[str, Path]:
    """Write the manifest of all data sets together and of each by itself, once; return them by name."""
    named = {name: out / f"{name}.csv" for name in ("all", *SOURCES)}
    if not all(path.exists() for path in named.values()):
        rows = {name: write_source(name, source, data, out) for name, source in SOURCES.items()}
        for name, own in rows.items():
            write_manifest(named[name], filled(own))
        write_manifest(named["all"], filled([row for own in rows.values() for row in own]))
    return named


def filled(rows: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """Return rows of equal columns, empty where an image has nothing."""
    columns = dict.fromkeys(column for row in rows for column in row)
    return [dict.fromkeys(columns, "") | row for row in rows]


def settings_of(manifest: Path, out: Path, *, steps: int, seeds: Sequence[int], device: str) -> Study:
    """Return the study of one arm: labels alone."""
    return validated(
        Study,
        {
            "data": manifest,
            "out": out,
            "label_kind": "binary",
            "student_channels": ("luma",),
            "students": (STUDENT,),
            "arms": ({"name": "labels"},),
            "seeds": tuple(seeds),
            "protocol": PROTOCOL.model_copy(update={"steps": steps}),
            "device": device,
        },
    )


def scores(settings: Study, name: str) -> dict[str, Any]:
    """Run what is missing, and return each structure's scores by seed and field."""
    state = study(settings, notice=lambda text: print(f"{NAME}/{name}: {text}", flush=True))
    tables = score_tables(record for run in state.runs.values() for record in run.records)
    return {
        structure: {
            metric: {"seeds": list(table.seeds), "fields": list(table.fields), "values": table.values.tolist()}
            for metric in METRICS
            if (table := tables.get(("labels", structure, metric))) is not None
        }
        for structure in _structures(tables)
    }


def _structures(tables: Iterable[tuple[str, str, str]]) -> list[str]:
    return list(dict.fromkeys(structure for _, structure, _ in tables))


def counted(manifest: Path) -> dict[str, dict[str, int]]:
    """Return how many images of each data set are in each part."""
    found: dict[str, dict[str, int]] = {}
    with manifest.open(encoding="utf-8", newline="") as handle:
        for row in csv.DictReader(handle):
            own = found.setdefault(row["#source"], {})
            own[row["split"]] = own.get(row["split"], 0) + 1
    return found


def main() -> None:
    """Run what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", nargs="+", choices=("specialists", "generalist", "longer"), help="keep nothing")
    parser.add_argument("--steps", type=int, default=PROTOCOL.steps, help="fewer only to see whether it runs")
    parser.add_argument("--device", default="auto")
    given = parser.parse_args()
    out = given.runs / NAME
    named = manifests(given.data, out / "data")
    jobs = {"specialists": {name: (named[name], given.steps) for name in SOURCES}}
    jobs["generalist"] = {"generalist": (named["all"], given.steps)}
    jobs["longer"] = {"longer": (named["all"], given.steps * LONGER)}
    found = {
        name: scores(settings_of(manifest, out / name, steps=steps, seeds=given.seeds, device=given.device), name)
        for kind in given.only or jobs
        for name, (manifest, steps) in jobs[kind].items()
    }
    if given.only or given.steps != PROTOCOL.steps:
        return
    content = {
        "student": STUDENT,
        "protocol": PROTOCOL.model_dump(mode="json"),
        "longer": LONGER,
        "seeds": list(given.seeds),
        "images": counted(named["all"]),
        "specialists": {
            structure: {"source": name, **own} for name in SOURCES for structure, own in found[name].items()
        },
        "generalist": found["generalist"],
        "generalist, longer": found["longer"],
        "machine": machine(),
    }
    write_json(RESULTS / f"{NAME}.json", content)


if __name__ == "__main__":
    main()
