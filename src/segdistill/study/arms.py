"""Running one arm with one seed: train, tune, predict the test fields, score; once and never twice."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float16, Int32

from segdistill.data.channels import BLANK
from segdistill.data.labels import Structure, output_names
from segdistill.data.normalisation import PercentileRule, rule_to_json
from segdistill.data.sample import Sample
from segdistill.evaluation import score_case
from segdistill.evaluation.lengths import TOLERANCE_MICROMETRES
from segdistill.evaluation.metrics import METRICS
from segdistill.evaluation.ruler import PIXELS, Ruler
from segdistill.evaluation.summary import Record
from segdistill.files import write_json
from segdistill.inference.familiarity import FEWEST, chosen_of, familiar_of
from segdistill.inference.features import appearance_of
from segdistill.inference.halo import measure_halo, measure_reach
from segdistill.inference.instances import segment
from segdistill.networks.build import build_student
from segdistill.networks.card import PROMPTING, Familiar, ModelCard, Pooling
from segdistill.networks.licences import NOT_STATED, research_note
from segdistill.networks.local_pooling import pool_locally
from segdistill.networks.model import Model, save_model
from segdistill.objectives import distillation_term
from segdistill.settings import Arm, Protocol
from segdistill.study.account import Labels
from segdistill.study.encoder_start import EncoderStart, encoder_start
from segdistill.study.metering import metered
from segdistill.study.preparation import Prepared, budget_seed, file_marks, labelled_budget
from segdistill.study.starting import Start
from segdistill.study.teaching import Teaching
from segdistill.study.terms import terms_in_words
from segdistill.targets import load_tokens
from segdistill.training.entries import Entry, make_entry, taught, unlabelled, with_stains
from segdistill.training.fit import Fitted, Recipe, fit
from segdistill.training.similarity import teacher_similarity
from segdistill.training.validation import entry_maps, entry_view

RULE = PercentileRule()
"""How students' images are normalised; kept in the model."""

TRAINING_SEEN = 32
"""Training images, at most, that a student is scored on beside the test fields."""

DONE = "done.json"
Notice = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Bench:
    """What all arms of a study share."""

    folder: Path
    prepared: Prepared
    protocol: Protocol
    student: str
    channels: tuple[str, ...]
    entries: Mapping[str, Entry]
    """By case: the student's view, with labels and without a target."""
    teachings: Mapping[str, Teaching]
    """"teacher", "control"."""
    device: str
    split_seed: int
    notice: Notice
    start: Start | None = None
    """The model that every student begins with."""

    at_once: int = 1
    """How many arms are run side by side."""

    @property
    def structures(self) -> tuple[Structure, ...]:
        """What is segmented."""
        return self.prepared.dataset.structures

    @property
    def encoder(self) -> EncoderStart | None:
        """The encoder weights that every student begins with; None: random ones, or those of ``start``."""
        return encoder_start(self.protocol.encoder_weights)


@dataclass(frozen=True, eq=False)
class ArmRun:
    """One arm and seed, done."""

    arm: Arm
    seed: int
    folder: Path
    records: list[Record]
    labels: Labels
    facts: Mapping[str, Any]
    """Validation score, step of the best weights, seconds; and what was drawn and the parameters in training and in
    use, which older runs lack."""


def counted_parameters(runs: Sequence[ArmRun], arm: str) -> Mapping[str, int] | None:
    """Return an arm's parameters, ``trained`` and ``kept``; None where nobody counted them, as of older runs.

    Args:
        runs: Every arm and seed; all seeds of an arm have the same network.
        arm: Its name.
    """
    found = (run.facts.get("parameters") for run in runs if run.arm.name == arm)
    return next((each for each in found if each is not None), None)


def make_entries(samples: Mapping[str, Sample], channels: Sequence[str]) -> dict[str, Entry]:
    """Return the student's view of every field."""
    return {name: make_entry(sample, channels=channels, rule=RULE) for name, sample in samples.items()}


def arm_folder(bench: Bench, arm: Arm, seed: int) -> Path:
    """Return where an arm and seed is kept."""
    return bench.folder / "arms" / arm.name / str(seed)


def run_arm(bench: Bench, arm: Arm, seed: int) -> ArmRun:
    """Train one student, score it on the test fields and keep it; or read back what was done before.

    Args:
        bench: What all arms share.
        arm: Which arm.
        seed: Of everything random, the choice of labelled images among it.
    """
    folder = arm_folder(bench, arm, seed)
    labels = labels_of(bench, arm, seed)
    before = read_arm(folder, arm, seed, labels, notice=bench.notice)
    if before is not None:
        return before
    started = time.monotonic()
    with metered(bench.device, beside=bench.at_once - 1) as drawn:
        entries = arm_entries(bench, arm, seed)
        start = None if bench.start is None else bench.start.folder
        recipe = Recipe(arm, bench.protocol, bench.student, bench.structures, start)
        fitted = fit(folder, recipe, entries=entries, seed=seed, device=bench.device, notice=bench.notice)
    seconds = time.monotonic() - started
    trained_on = [entry.name for entry in entries[0]]
    save_model(folder / "model", Model(fitted.network, make_card(bench, arm, seed, fitted, labels, trained_on)))
    records = score_student(bench, arm, seed, fitted)
    facts = {
        "seconds": seconds,
        "energy": {"on_gpu": bench.device.startswith("cuda"), **drawn.facts()},
        "best_step": fitted.outcome.best_step,
        "validation": fitted.outcome.best_score,
        "training": score_in_training(bench, arm, seed, fitted),
        "thresholds": fitted.thresholds,
        "parameters": fitted.parameters,
    }
    write_json(folder / DONE, {"records": records, "facts": facts})
    return ArmRun(arm, seed, folder, records, labels, facts)


def read_arm(folder: Path, arm: Arm, seed: int, labels: Labels, *, notice: Notice) -> ArmRun | None:
    """Return an arm that was run before; None where it was not, or what it left is damaged, which is told."""
    done = folder / DONE
    if not done.exists():
        return None
    try:
        content = json.loads(done.read_text(encoding="utf-8"))
        run = ArmRun(arm, seed, folder, content["records"], labels, content["facts"])
    except (ValueError, KeyError, TypeError) as error:
        notice(f"{done} is damaged ({error}): this run is finished again.")
        return None
    if not (folder / "model" / "model.json").exists():
        notice(f"{folder / 'model'} is missing: this run is finished again.")
        return None
    return run


def arm_entries(bench: Bench, arm: Arm, seed: int) -> tuple[list[Entry], list[Entry]]:
    """Return the fields that an arm trains and validates on.

    An arm without a teacher has only labelled fields. One with a teacher has every training field:
    those outside its budget of labels without theirs. An arm without any labels validates against
    its teacher too.
    """
    budget = labelled_budget(bench.prepared.labelled("train"), arm.labels, seed=budget_seed(bench.split_seed, seed))
    teaching = None if arm.teacher is None else bench.teachings[arm.teacher]
    training = []
    for name in bench.prepared.split["train"]:
        seen = training_view(bench, arm, name)
        entry = seen if name in budget else unlabelled(seen)
        if teaching is not None and name in teaching.targets:
            training.append(taught(entry, teaching.targets[name], similarity=similarity_of(bench, arm, name)))
        elif entry.labelled or entry.stains is not None:
            training.append(entry)
    validation = [view_in_use(bench, arm, name) for name in bench.prepared.split["validation"]]
    if arm.labels == 0 and teaching is not None:
        validation = [
            taught(unlabelled(entry), teaching.targets[entry.name])
            for entry in validation
            if entry.name in teaching.targets
        ]
    return training, validation


def similarity_of(bench: Bench, arm: Arm, name: str) -> Float16[np.ndarray, "m y x"] | None:
    """Return what an arm compares of its teacher's features in a field; None where it compares outputs alone."""
    if arm.teacher is None or not distillation_term(arm.distillation).prototypes:
        return None
    teaching, counts = bench.teachings[arm.teacher], bench.entries[name].counts
    features = load_tokens(dict(teaching.tokens[name]))
    return teacher_similarity(features, teaching.targets[name], bench.structures, counts)


def training_view(bench: Bench, arm: Arm, name: str) -> Entry:
    """Return a field as an arm sees it while it trains."""
    sample, entry = bench.prepared.samples[name], bench.entries[name]
    if arm.dropped_channels:
        entry = make_entry(sample, channels=(*bench.channels, *arm.dropped_channels), rule=RULE)
    if arm.predicted_channels:
        entry = with_stains(entry, sample, channels=arm.predicted_channels, rule=RULE)
    return entry


def view_in_use(bench: Bench, arm: Arm, name: str) -> Entry:
    """Return a field as an arm's student sees it in use: the student's channels, and nothing for those it may lack."""
    if not arm.dropped_channels:
        return bench.entries[name]
    return make_entry(bench.prepared.samples[name], channels=channels_in_use(bench, arm), rule=RULE)


def channels_in_use(bench: Bench, arm: Arm) -> tuple[str, ...]:
    """Return the channels that an arm's student is given in use."""
    return (*bench.channels, *(BLANK for _ in arm.dropped_channels))


def labels_of(bench: Bench, arm: Arm, seed: int) -> Labels:
    """Return how many labelled images an arm uses, wherever it uses them."""
    budget = labelled_budget(bench.prepared.labelled("train"), arm.labels, seed=budget_seed(bench.split_seed, seed))
    validation = 0 if arm.labels == 0 else len(bench.prepared.labelled("validation"))
    begun = [each for each in (bench.start and bench.start.card, bench.encoder) if each is not None]
    known = [each.labels_used for each in begun if each.labels_used is not None]
    before = sum(known) if len(known) == len(begun) else None
    if arm.teacher is None:
        return Labels(len(budget), validation, 0, before=before)
    teaching = bench.teachings[arm.teacher]
    seen = teaching.contract.labels_seen
    chosen_on = {each.name for each in bench.prepared.labelled("validation")} if validation else set()
    shared = len((budget | chosen_on) & teaching.fitted_on)
    read = told_of(bench, arm)
    if seen is not None:
        seen, shared = seen + len(read), shared + len(budget & read)
    return Labels(len(budget), validation, seen, shared, teaching.contract.oracle, before)


def told_of(bench: Bench, arm: Arm) -> frozenset[str]:
    """Return the cases whose labels an arm's teacher was told when it spoke of them; none where it is no oracle.

    They are those that the arm trains on and, where it has no labels of its own, those that it is chosen by.
    """
    teaching = None if arm.teacher is None else bench.teachings[arm.teacher]
    if teaching is None or not teaching.contract.oracle:
        return frozenset()
    parts = ("train", "validation") if arm.labels == 0 else ("train",)
    return frozenset(name for part in parts for name in bench.prepared.split[part] if name in teaching.targets)


def score_student(bench: Bench, arm: Arm, seed: int, fitted: Fitted) -> list[Record]:
    """Return the scores of a student on every labelled test field."""
    records: list[Record] = []
    for sample in bench.prepared.labelled("test"):
        view = view_in_use(bench, arm, sample.name)
        maps = entry_maps(fitted.network, view, outputs=len(output_names(bench.structures)), device="cpu")
        ruler, unit = ruler_of(bench.prepared, sample), bench.prepared.groups[sample.name]
        records += score_maps(
            sample, bench.structures, maps, fitted.thresholds, ruler=ruler, arm=arm.name, seed=seed, field=unit
        )
    return records


def score_in_training(bench: Bench, arm: Arm, seed: int, fitted: Fitted) -> float | None:
    """Return the mean Dice of a student over the very images whose labels it learnt from, at most ``TRAINING_SEEN``.

    How far it lies above that of the test fields says how much of what was learnt holds for those images alone.
    None: it was given no label.
    """
    labelled = bench.prepared.labelled("train")
    budget = labelled_budget(labelled, arm.labels, seed=budget_seed(bench.split_seed, seed))
    values: list[float] = []
    for sample in [each for each in labelled if each.name in budget][:TRAINING_SEEN]:
        view = view_in_use(bench, arm, sample.name)
        maps = entry_maps(fitted.network, view, outputs=len(output_names(bench.structures)), device="cpu")
        masks = mask_planes(maps, bench.structures, fitted.thresholds)
        rows = score_case(
            masks, sample.planes, bench.structures, counts=sample.counts, known=sample.known, metrics=("dice",)
        )
        values.append(fmean(row["value"] for row in rows))
    return fmean(values) if values else None


def score_maps(
    sample: Sample,
    structures: Sequence[Structure],
    maps: Float[np.ndarray, "o y x"] | None,
    thresholds: Mapping[str, Any],
    *,
    ruler: Ruler,
    arm: str,
    seed: int,
    field: str,
) -> list[Record]:
    """Return the scores of one field; without maps it counts as missed.

    Args:
        sample: The field, with a plane for each structure.
        structures: What the maps are of.
        maps: Probabilities, in the order of ``output_names(structures)``.
        thresholds: By structure.
        ruler: How lengths are measured in it.
        arm: Who made the maps.
        seed: Of the training.
        field: The unit that it belongs to.
    """
    masks = None if maps is None else mask_planes(maps, structures, thresholds)
    foreground = [output_names(structures).index(structure.name) for structure in structures]
    rows = score_case(
        masks,
        sample.planes,
        structures,
        counts=sample.counts,
        known=sample.known,
        metrics=tuple(METRICS),
        ruler=ruler,
        probability=None if maps is None else maps[foreground],
    )
    return [Record(**row, arm=arm, seed=seed, field=field, image=sample.name) for row in rows]


def ruler_of(prepared: Prepared, sample: Sample) -> Ruler:
    """Return how lengths are measured in a field: in micrometres where the pixel size of every test field is known."""
    if any(each.image.pixel_size is None for each in prepared.labelled("test")):
        return PIXELS
    return Ruler(sample.image.pixel_size, tolerance=TOLERANCE_MICROMETRES)


def mask_planes(
    maps: Float[np.ndarray, "o y x"], structures: Sequence[Structure], thresholds: Mapping[str, Any]
) -> Int32[np.ndarray, "k y x"]:
    """Return the masks that maps give, one plane per structure."""
    masks = segment(maps, structures, thresholds)
    return np.stack([masks[structure.name] for structure in structures]).astype(np.int32)


def make_card(
    bench: Bench, arm: Arm, seed: int, fitted: Fitted, labels: Labels, trained_on: Sequence[str]
) -> ModelCard:
    """Return the card of a student."""
    teaching = None if arm.teacher is None else bench.teachings[arm.teacher]
    sizes = {bench.prepared.samples[name].image.pixel_size for name in bench.prepared.split["train"]}
    views = [entry_view(view_in_use(bench, arm, name)) for name in bench.prepared.split["validation"]]
    channels, outputs = channels_in_use(bench, arm), len(output_names(bench.structures))
    return ModelCard(
        architecture=bench.student,
        channels=channels,
        normalisation=rule_to_json(RULE),
        pixel_size=next(iter(sizes)) if len(sizes) == 1 else None,
        structures=bench.structures,
        crop=bench.protocol.crop,
        thresholds=fitted.thresholds,  # pyright: ignore[reportArgumentType]  (checked by the card)
        teacher=None if teaching is None else teaching.contract.name,
        licences=licences_of(bench, teaching),
        labels_used=labels.total,
        learnt_from=learnt_from(bench, arm, seed),
        provenance={
            "arm": arm.name,
            "seed": seed,
            "terms": terms_in_words(arm),
            **asked_as(teaching),
            **began_with(bench),
        },
        notes=(
            f"It learnt from {terms_in_words(arm)}.",
            *card_notes(labels, teaching),
            *(() if bench.encoder is None else bench.encoder.notes(bench.student)),
            *inversion_note(bench.prepared, trained_on),
            *terms_notes(bench, teaching),
        ),
        familiar=familiar_with(bench, arm, fitted, trained_on),
        pooling=fitted.pooling,
        halo=measure_halo(
            fitted.network,
            views,
            outputs=outputs,
            exact=reach_of(bench.student, len(channels), outputs, window_of(fitted.pooling)),
        ),
    )


def learnt_from(bench: Bench, arm: Arm, seed: int) -> tuple[str, ...]:
    """Return the beginnings of the hashes of all images whose labels a student learns from, as far as they are known.

    Those that it is chosen by are among them, those of its teacher, and those of what it begins with.
    """
    budget = labelled_budget(bench.prepared.labelled("train"), arm.labels, seed=budget_seed(bench.split_seed, seed))
    chosen_by = () if arm.labels == 0 else (sample.name for sample in bench.prepared.labelled("validation"))
    teaching = None if arm.teacher is None else bench.teachings[arm.teacher]
    taught_by = () if teaching is None else teaching.fitted_on
    names = {*budget, *chosen_by, *taught_by, *told_of(bench, arm)}
    before = [] if teaching is None else [*teaching.marks]
    before += [] if bench.start is None else bench.start.card.learnt_from
    before += [] if bench.encoder is None else bench.encoder.labelled
    return tuple(sorted({*file_marks(bench.prepared, names), *before}))


def familiar_with(bench: Bench, arm: Arm, fitted: Fitted, trained_on: Sequence[str]) -> Familiar | None:
    """Return how the training images appear to a student, so that it can tell images that are unlike them."""
    groups = bench.prepared.groups
    if len({groups[name] for name in trained_on}) < FEWEST:
        return None
    chosen = chosen_of(trained_on)
    seen = [appearance_of(fitted.network, entry_view(view_in_use(bench, arm, name)), device="cpu") for name in chosen]
    return familiar_of(seen, [groups[name] for name in chosen], channels_in_use(bench, arm))


@cache
def reach_of(student: str, channels: int, outputs: int, window: int | None = None) -> int | None:
    """Return how far a student sees, pixels; None without bound. It depends on the architecture alone.

    Args:
        student: Its name.
        channels: Its input channels.
        outputs: Its maps.
        window: Of its squeeze-excite layers, pixels; None: it has none, or they pool over all of a tile.
    """
    with torch.random.fork_rng(devices=[]):
        network = build_student(student, channels=channels, outputs=outputs).eval()
    if window is not None:
        pool_locally(network, crop=window, channels=channels)
    return measure_reach(network, channels=channels)


def window_of(pooling: Pooling | None) -> int | None:
    """Return the side of the window over which squeeze-excite layers pool, pixels; None where they do not."""
    return None if pooling is None else pooling["window"]


def licences_of(bench: Bench, teaching: Teaching | None) -> tuple[str, ...]:
    """Return the licences that bind a student: its teacher's, those of what it began with, and of images."""
    own = [] if teaching is None else [f"teacher {teaching.contract.name}: {teaching.contract.licence}"]
    before = () if bench.start is None else bench.start.card.licences
    encoder = () if bench.encoder is None else bench.encoder.licences
    data = [f"data: {licence}" for licence in bench.prepared.licences if licence != NOT_STATED]
    return tuple(dict.fromkeys([*own, *before, *encoder, *data]))


def terms_notes(bench: Bench, teaching: Teaching | None) -> tuple[str, ...]:
    """Return what a user must know of the terms that bind a student."""
    unknown = bench.prepared.licences.get(NOT_STATED, 0)
    silent = (f"Under which terms {unknown} of its images may be used was not stated.",) if unknown else ()
    return (*research_note(licences_of(bench, teaching)), *silent)


def asked_as(teaching: Teaching | None) -> dict[str, Any]:
    """Return how a student's teacher was asked; nothing where there is none, or where it has no prompting."""
    prompting = None if teaching is None else teaching.contract.prompting
    return {} if prompting is None else {PROMPTING: prompting}


def began_with(bench: Bench) -> dict[str, Any]:
    """Return the hashes of the weights that a student began with; nothing where they were random."""
    whole = {} if bench.start is None else {"began_with_weights_sha256": bench.start.card.weights_sha256}
    return whole | ({} if bench.encoder is None else bench.encoder.facts())


def card_notes(labels: Labels, teaching: Teaching | None) -> tuple[str, ...]:
    """Return what a user of the model should know."""
    notes = [f"Labelled images: {labels.training} in training, {labels.validation} in validation."]
    if labels.before != 0:
        before = "an unknown number of" if labels.before is None else str(labels.before)
        notes.append(f"It began with weights for which {before} labelled images had been used.")
    if teaching is not None:
        seen = "an unknown number of" if labels.teacher is None else str(labels.teacher)
        notes.append(f"Its teacher was fitted on {seen} labelled images. {teaching.contract.note}".strip())
    return tuple(notes)


def inversion_note(prepared: Prepared, trained_on: Sequence[str]) -> tuple[str, ...]:
    """Return what a user must do to images like those that were turned round before a student saw them."""
    turned = sum(prepared.samples[name].image.inverted for name in trained_on)
    if not turned:
        return ()
    return (
        f"{turned} of its {len(trained_on)} training images were turned from dark on bright to bright on dark when they"
        " were read. `predict` does not do that: turn such images round first.",
    )
