"""Other data sets, on which students are scored as they are: nothing is trained, tuned or chosen there."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from segdistill.data.case import Case, shown
from segdistill.data.channels import BLANK, check_names
from segdistill.data.labels import Structure, output_names
from segdistill.data.pseudonyms import image_sha256
from segdistill.data.sample import Sample
from segdistill.errors import ConfigError
from segdistill.evaluation import gain_of, mean_sd, score_tables
from segdistill.evaluation.metrics import METRICS, metrics_of
from segdistill.evaluation.summary import Record, ScoreTable
from segdistill.files import sha256_array, write_json
from segdistill.networks.card import HASH_DIGITS
from segdistill.networks.model import load_model
from segdistill.report import ShiftRow
from segdistill.settings import Shift
from segdistill.study.account import ArmAccount
from segdistill.study.arms import RULE, ArmRun, Bench, ruler_of, score_maps
from segdistill.study.content import COMPARED, role_of
from segdistill.study.origins import origins, refuse_seen
from segdistill.study.preparation import Notice, Prepared, Readable, open_dataset, read_whole
from segdistill.training.entries import make_entry
from segdistill.training.validation import entry_maps

OWN = "test"
"""What the run's own test fields are called beside other data sets."""


@dataclass(frozen=True, eq=False)
class Elsewhere:
    """Another data set, as the students of a run are scored on it."""

    name: str
    """As the settings call it."""

    prepared: Prepared
    """All of its labelled images as test fields, its labels as planes of the students' structures."""

    channels: tuple[str, ...]
    """That stand for the students', in their order."""

    areas: frozenset[str]
    """Structures whose objects its labels do not tell apart: there only areas are scored."""

    notes: tuple[str, ...]
    """What a reader must know of it."""

    identity: str
    """Hash of everything that decides a student's scores beside the student."""


def read_elsewhere(
    shifts: Mapping[str, Shift],
    own: Prepared,
    channels: Sequence[str],
    *,
    before: Callable[[], Mapping[str, frozenset[str]]],
    private: bool,
    notice: Notice,
) -> tuple[Elsewhere, ...]:
    """Read other data sets, refusing those on which students could not be scored honestly.

    Args:
        shifts: Name to where it is and how it is read.
        own: What the students are trained on.
        channels: The students'.
        before: Returns what ``seen_before`` does; asked only where there is another data set.
        private: Whether images and groups have pseudonyms.
        notice: Told what was inferred and what could not be read.

    Raises:
        ConfigError: A data set labels none of the students' structures, holds none labelled, names another number of
            channels, or has images of the training or validation, or such as were seen before by what students learn
            from or begin with.
        DataError: An image lacks a channel.
    """
    if not shifts:
        return ()
    seen = {_pixels(own.samples[name]): name for part in ("train", "validation") for name in own.split[part]}
    known = before()
    return tuple(
        _read_one(name, shift, own, tuple(channels), seen, known, private=private, notice=notice)
        for name, shift in shifts.items()
    )


def _read_one(
    name: str,
    shift: Shift,
    own: Prepared,
    channels: tuple[str, ...],
    seen: Mapping[str, str],
    before: Mapping[str, frozenset[str]],
    *,
    private: bool,
    notice: Notice,
) -> Elsewhere:
    given = channels if shift.student_channels is None else shift.student_channels
    if len(given) != len(channels):
        raise ConfigError(
            f"shift.{name}.student_channels names {len(given)} channels ({', '.join(given) or 'none'}), but students"
            f" see {len(channels)} ({', '.join(channels)}). Name one for each."
        )
    found = read_whole(open_dataset(shift), shift, private=private, notice=lambda text: notice(f"{name}: {text}"))
    structures, shared = own.dataset.structures, _shared(name, own, found)
    scored = [
        case for case in found.cases if shift.part in ("all", case.split) and _labels_any(found, case.name, shared)
    ]
    if not scored:
        part = "" if shift.part == "all" else f" in its part {shift.part!r}"
        raise ConfigError(
            f"No image of {name}{part} is labelled with {' or '.join(sorted(shared))}, so no student can be scored"
            " there. Label some, or drop it from shift."
        )
    samples = {case.name: _as_own(found, case.name, structures) for case in scored}
    for sample in samples.values():
        check_names(sample.image.channels, given, source=sample.image.source)
    both = sorted(case for case, sample in samples.items() if _pixels(sample) in seen)
    if both:
        raise ConfigError(
            f"{len(both)} images of {name} are among those that students are trained or chosen on: {shown(both)}."
            " Scores on them would flatter. Take them out of one of the two."
        )
    _refuse_seen_before(name, scored, before)
    drawn_by = origins(own.dataset.cases)
    refuse_seen(drawn_by, scored, samples, private=private, who=f"images of {name}", instead=f"take them out of {name}")
    prepared = Prepared(
        dataset=replace(found.dataset, label_sets=own.dataset.label_sets),
        samples=samples,
        split={"train": (), "validation": (), "test": tuple(samples)},
        groups={case.name: case.group for case in scored},
        dropped=found.dropped,
        notes=found.notes,
    )
    areas = frozenset(each for each, instances in shared.items() if not instances)
    return Elsewhere(
        name, prepared, given, areas, _notes(name, found, prepared, shared, own), _identity(prepared, given)
    )


def _refuse_seen_before(name: str, scored: Sequence[Case], before: Mapping[str, frozenset[str]]) -> None:
    """Refuse images that what students learn from or begin with had seen before."""
    marks = {case.name: image_sha256(case)[:HASH_DIGITS] for case in scored} if before else {}
    for who, known in before.items():
        leaks = sorted(case for case, mark in marks.items() if mark in known)
        if leaks:
            raise ConfigError(
                f"{len(leaks)} images of {name} had been seen by {who}: {shown(leaks)}. Scores on them would flatter"
                f" every student that owes to it. Take them out of {name}, or name another part of it."
            )


def _shared(name: str, own: Prepared, found: Readable) -> dict[str, bool]:
    """Return the structures that both label, and whether objects are told apart by both."""
    theirs = {structure.name: structure.instances for structure in found.dataset.structures}
    ours = {structure.name: structure.instances for structure in own.dataset.structures}
    shared = {each: instances and theirs[each] for each, instances in ours.items() if each in theirs}
    if not shared:
        raise ConfigError(
            f"{name} labels {', '.join(theirs) or 'nothing'}, but students segment {', '.join(ours)}: there is nothing"
            f" to score. If the same thing has two names, name it with shift.{name}.structure."
        )
    return shared


def _labels_any(found: Readable, case: str, shared: Mapping[str, bool]) -> bool:
    known = zip(found.dataset.structures, found.samples[case].known, strict=True)
    return any(is_known and structure.name in shared for structure, is_known in known)


def _as_own(found: Readable, case: str, structures: Sequence[Structure]) -> Sample:
    """Return a field with its labels as planes of the students' structures; those it lacks are not known."""
    sample = found.samples[case]
    theirs = {structure.name: place for place, structure in enumerate(found.dataset.structures)}
    planes = np.zeros((len(structures), *sample.counts.shape), np.int32)
    known = np.zeros(len(structures), bool)
    for place, structure in enumerate(structures):
        if structure.name in theirs:
            plane = sample.planes[theirs[structure.name]]
            planes[place] = plane if structure.instances else plane > 0
            known[place] = sample.known[theirs[structure.name]]
    return replace(sample, planes=planes, known=known)


def _notes(
    name: str, found: Readable, prepared: Prepared, shared: Mapping[str, bool], own: Prepared
) -> tuple[str, ...]:
    counted = [sample.image.inverted for sample in prepared.samples.values()]
    turned = f", {sum(counted)} of them turned from dark on bright to bright on dark" if any(counted) else ""
    notes = [f"{name}: students were scored on {len(counted)} images as they are, on {' and '.join(shared)}{turned}."]
    if found.dropped:
        notes.append(f"{name}: {len(found.dropped)} images could not be used: {shown(found.dropped)}.")
    sizes = [
        {round(size, 3) for sample in each.samples.values() if (size := sample.image.pixel_size) is not None}
        for each in (own, prepared)
    ]
    if all(sizes) and sizes[0] != sizes[1]:
        ours, theirs = (shown(f"{size:g}" for size in sorted(each)) for each in sizes)
        notes.append(f"{name}: pixel sizes are {theirs} µm, but {ours} µm in training: set its pixel_size to resample.")
    return tuple(notes)


def score_elsewhere(bench: Bench, runs: Sequence[ArmRun], elsewhere: Elsewhere) -> list[Record]:
    """Return the scores of every student on another data set; what was scored before is read back.

    Args:
        bench: What the runs shared.
        runs: Every arm and seed.
        elsewhere: The data set.
    """
    return [record for run in runs for record in _scored(bench, run, elsewhere)]


def _scored(bench: Bench, run: ArmRun, elsewhere: Elsewhere) -> list[Record]:
    model = load_model(run.folder / "model")
    thresholds = model.card.thresholds
    identity = {"weights": model.card.weights_sha256, "thresholds": thresholds, "data": elsewhere.identity}
    path = run.folder / "shift" / f"{elsewhere.name}.json"
    before = _read(path, identity)
    if before is not None:
        return before
    bench.notice(f"Scoring {run.arm.name}, seed {run.seed}, on {elsewhere.name} …")
    channels = (*elsewhere.channels, *(BLANK for _ in run.arm.dropped_channels))
    outputs = len(output_names(bench.structures))
    records: list[Record] = []
    for sample in elsewhere.prepared.of("test"):
        entry = make_entry(sample, channels=channels, rule=RULE)
        maps = entry_maps(model.module, entry, outputs=outputs, device="cpu")
        records += score_maps(
            sample,
            elsewhere.prepared.dataset.structures,
            maps,
            thresholds,
            ruler=ruler_of(elsewhere.prepared, sample),
            arm=run.arm.name,
            seed=run.seed,
            field=elsewhere.prepared.groups[sample.name],
        )
    records = [record for record in records if _is_told(record, elsewhere)]
    path.parent.mkdir(exist_ok=True)
    write_json(path, {"of": identity, "records": records})
    return records


def _is_told(record: Record, elsewhere: Elsewhere) -> bool:
    """Return whether a score means something there: scores of objects need labels that tell them apart."""
    if record["structure"] not in elsewhere.areas:
        return True
    return record["metric"] in {each.name for each in metrics_of(Structure(record["structure"], False), tuple(METRICS))}


def _read(path: Path, identity: Mapping[str, Any]) -> list[Record] | None:
    """Return what was kept of the same student and images; None where that is not there."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return content["records"] if content["of"] == json.loads(json.dumps(identity)) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def shift_rows(
    name: str, there: Sequence[Record], here: Sequence[Record], account: Mapping[str, ArmAccount]
) -> tuple[ShiftRow, ...]:
    """Return what the report shows of one data set: each arm there and on the run's own test fields.

    Args:
        name: Of the data set.
        there: Scores on it.
        here: Scores on the run's own test fields.
        account: By arm; says which baseline an arm has.
    """
    elsewhere, own = score_tables(there), score_tables(here)
    return tuple(
        _row(name, account[arm], structure, metric, elsewhere, own)
        for metric in COMPARED
        for arm, structure, each in elsewhere
        if each == metric
    )


def _row(
    name: str,
    arm: ArmAccount,
    structure: str,
    metric: str,
    elsewhere: Mapping[tuple[str, str, str], ScoreTable],
    own: Mapping[tuple[str, str, str], ScoreTable],
) -> ShiftRow:
    table, before = elsewhere[arm.name, structure, metric], own.get((arm.name, structure, metric))
    baseline = None if arm.baseline is None else elsewhere[arm.baseline, structure, metric]
    gain = None if baseline is None else gain_of(table, baseline)
    interval = None if gain is None else gain.interval
    (there, there_sd), (here, here_sd) = mean_sd(table.values), (None, None)
    if before is not None:
        here, here_sd = mean_sd(before.values)
    return ShiftRow(
        data=name,
        structure=structure,
        metric=COMPARED[metric],
        arm=arm.name,
        role=role_of(arm),
        there=there,
        there_sd=there_sd,
        here=here,
        here_sd=here_sd,
        fields=len(table.fields),
        gain=None if gain is None else gain.mean,
        gain_ends=None if interval is None else (interval.low, interval.high),
    )


def _pixels(sample: Sample) -> str:
    return sha256_array(sample.image.array)


def _identity(prepared: Prepared, channels: Sequence[str]) -> str:
    """Return a hash of images, labels, regions and groups, and of what is shown of them."""
    parts = [
        [name, _pixels(sample), sha256_array(sample.planes), sha256_array(sample.counts), prepared.groups[name]]
        for name, sample in sorted(prepared.samples.items())
    ]
    known = [sample.known.tolist() for _, sample in sorted(prepared.samples.items())]
    sizes = [sample.image.pixel_size for _, sample in sorted(prepared.samples.items())]
    return hashlib.sha256(json.dumps([parts, known, sizes, list(channels)]).encode()).hexdigest()
