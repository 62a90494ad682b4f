"""Where a result comes from: versions, device, seeds, hashes, licences, and everything that was left out."""

import hashlib
import json
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from segdistill.data.case import image_files
from segdistill.data.readers.planes import file_of
from segdistill.files import sha256_array, write_json
from segdistill.networks.card import read_card
from segdistill.networks.describe import StudentFacts
from segdistill.networks.halo_words import difference_in_words, exact_in_words, pooling_in_words
from segdistill.networks.licences import RESEARCH_ONLY, is_research_only
from segdistill.report import Dropped, Facts, Licence
from segdistill.report.wording import as_count
from segdistill.settings import Settings, Source
from segdistill.settings.private import hide_words
from segdistill.settings.teacher import called
from segdistill.study.arms import ArmRun, Bench
from segdistill.study.asking import asked_facts, asked_words
from segdistill.study.content import Told
from segdistill.study.same_data import field_hashes
from segdistill.study.surroundings import machine, versions
from segdistill.study.terms import terms_in_words

TOLD = frozenset({"data", "out", "device", "by", "references"})
"""Settings that decide where and how results are told, and no result. What the data are says more than where."""


def tell(
    settings: Settings,
    bench: Bench,
    size: StudentFacts,
    *,
    title: str,
    labels: int | None,
    notes: Sequence[str],
    command: str,
) -> Told:
    """Return everything about a run that is not a score.

    Args:
        settings: Of the run.
        bench: What its arms shared.
        size: Of the student.
        title: Of the report.
        labels: Labelled training images of the arm that the report is about; None is all.
        notes: Beside what is known here.
        command: That makes it again.
    """
    split = bench.prepared.split
    data = image_hashes(bench)
    return Told(
        title=title,
        run_id=run_identity(settings, field_hashes(bench.prepared))[:12],
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        command=command,
        regime=regime(bench, labels),
        notes=(*notes, *teacher_notes(bench), *bench.prepared.notes),
        provenance=(
            Facts(title="Versions", values=versions()),
            Facts(title="Machine", values=machine(bench.device)),
            Facts(
                title="Images",
                values={
                    part: f"{len(split[part])} images, {len(bench.prepared.labelled(part))} labelled" for part in split
                },
            ),
            *teacher_facts(bench),
            Facts(title="Protocol", values={name: str(value) for name, value in bench.protocol.resolved().items()}),
            Facts(title="Hashes of the images", values=data),
        ),
        licences=licences(bench),
        dropped=dropped(bench),
        size=size,
    )


def teacher_facts(bench: Bench) -> tuple[Facts, ...]:
    """Return which teachers were asked, and how; nothing where there are none."""
    asked = {role: asked_words(teaching.contract) for role, teaching in bench.teachings.items()}
    return (Facts(title="Teachers", values=asked),) if asked else ()


def term_facts(runs: Sequence[ArmRun]) -> Facts:
    """Return what each arm learnt from, and how that was weighed."""
    return Facts(title="Terms", values={run.arm.name: terms_in_words(run.arm) for run in runs})


def weight_facts(bench: Bench, model: Path) -> Facts:
    """Return by what the weights of the teachers and of the student are known again.

    Args:
        bench: What the runs shared.
        model: Folder of the student that was kept.
    """
    hashes = {role: teaching.contract.weights_sha256 for role, teaching in bench.teachings.items()}
    hashes["student"] = read_card(model).weights_sha256 or ""
    return Facts(title="Hashes of the weights", values={who: value[:16] for who, value in hashes.items() if value})


def window_facts(model: Path) -> Facts:
    """Return what a student's masks owe to the windows in which large images are predicted.

    Args:
        model: Folder of the student that was kept.
    """
    card = read_card(model)
    values = {
        "halo in use": f"{card.halo['fast']} px, the fast one",
        "exact halo": exact_in_words(card),
        "masks with the fast one": difference_in_words(card),
        **({} if (pooling := pooling_in_words(card)) is None else {"squeeze-excite layers pool": pooling}),
    }
    return Facts(title="Windows of the student", values=values)


def regime(bench: Bench, labels: int | None) -> str:
    """Return in words how many labels there are and, where there is a teacher, on how many images it spoke."""
    every = len(bench.prepared.labelled("train"))
    images = len(bench.prepared.split["train"])
    used = every if labels is None else labels
    if used == 0:
        return f"no labels, targets on {images} images"
    return as_count(used, "labelled image") + (f", targets on {images}" if bench.teachings else "")


def image_hashes(bench: Bench) -> dict[str, str]:
    """Return the content hash of every image, by case."""
    return {name: sha256_array(sample.image.array)[:16] for name, sample in sorted(bench.prepared.samples.items())}


def run_identity(settings: Settings, data: Mapping[str, str]) -> str:
    """Return the identity of a run: equal settings on equal images and labels give an equal one."""
    decisive = {name: value for name, value in settings.resolved().items() if name not in TOLD}
    return hashlib.sha256(json.dumps([decisive, dict(data)], sort_keys=True).encode()).hexdigest()


def teacher_notes(bench: Bench) -> tuple[str, ...]:
    """Return what must be known of the teachers to read the result rightly."""
    notes = []
    for role, teaching in bench.teachings.items():
        contract = teaching.contract
        seen = "an unknown number of" if contract.labels_seen is None else f"{contract.labels_seen}"
        notes.append(
            f"The {role} {called(contract.name)} was fitted on {seen} labelled images. {contract.note}".strip()
        )
        if teaching.in_fold:
            notes.append(
                f"The {role}'s targets on {len(teaching.in_fold)} images are not out of fold: it was fitted on the"
                " labels of these very images, so there it says little more than they do."
            )
        if contract.oracle:
            notes.append(
                f"The {role} {called(contract.name)} is an oracle: it was given labels of the images it speaks about."
            )
    return tuple(notes)


def licences(bench: Bench) -> tuple[Licence, ...]:
    """Return the licences of the teachers, of what students begin with, and of the images."""
    found = [
        (f"{role} {called(teaching.contract.name)}", teaching.contract.licence)
        for role, teaching in bench.teachings.items()
    ]
    before = (
        *(() if bench.start is None else bench.start.card.licences),
        *(() if bench.encoder is None else bench.encoder.licences),
    )
    found += [(f"what students begin with, {number}", licence) for number, licence in enumerate(before, start=1)]
    every = bench.prepared.licences
    for number, (terms, count) in enumerate(every.items(), start=1):
        whole = f"data {number}, {count} of {sum(every.values())} images"
        found.append(("data" if len(every) == 1 else whole, terms))
    return tuple(
        Licence(subject=subject, licence=licence, note=RESEARCH_ONLY if is_research_only(licence) else "")
        for subject, licence in found
    )


def dropped(bench: Bench) -> tuple[Dropped, ...]:
    """Return everything that was left out: images, and targets that a teacher failed to give."""
    images = [Dropped(what=name, why=reason) for name, reason in bench.prepared.dropped.items()]
    targets = [
        Dropped(what=f"target of {role} for {name}", why=reason)
        for role, teaching in bench.teachings.items()
        for name, reason in teaching.failed.items()
    ]
    return (*images, *targets)


def file_names(bench: Bench) -> dict[str, list[str]]:
    """Return the names of each image's files, by case."""
    return {case.name: [_short(path) for path in image_files(case)] for case in bench.prepared.dataset.cases}


def _short(path: Path) -> str:
    """Return the name of a file; of a plane, that of its file and its own."""
    return path.relative_to(file_of(path).parent).as_posix()


def command_line(settings: Settings, words: Sequence[str]) -> str:
    """Return the command as it was typed; where the data are private, without their paths."""
    if isinstance(settings, Source) and settings.private:
        words = hide_words(words, settings.places())
    return shlex.join(["segdistill", *words])


def write_run(path: Path, settings: Settings, bench: Bench, runs: Sequence[ArmRun], told: Told) -> None:
    """Write the record of a run beside its results."""
    private = isinstance(settings, Source) and settings.private
    content: dict[str, Any] = {
        "run_id": told.run_id,
        "made": told.made,
        "command": told.command,
        "settings": settings.resolved(),
        "facts": {facts.title: dict(facts.values) for facts in told.provenance},
        "teachers": {role: dict(asked_facts(teaching.contract)) for role, teaching in bench.teachings.items()},
        "files": {} if private else file_names(bench),
        "split": {part: list(names) for part, names in bench.prepared.split.items()},
        "licences": {licence.subject: licence.licence for licence in told.licences},
        "dropped": {entry.what: entry.why for entry in told.dropped},
        "arms": [
            {"arm": run.arm.resolved(), "seed": run.seed, "labels": vars(run.labels), **run.facts} for run in runs
        ],
        "student": dict(told.size),
        "notes": list(told.notes),
    }
    write_json(path, content)
