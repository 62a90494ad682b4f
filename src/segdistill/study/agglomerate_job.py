"""`segdistill agglomerate`: one light encoder from several frozen ones, and how well it says what they say."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from segdistill.data.normalisation import rule_to_json
from segdistill.data.pseudonyms import image_sha256
from segdistill.data.sample import Sample
from segdistill.engine import read_log, select_device, settle, train
from segdistill.errors import UnknownName
from segdistill.files import write_json
from segdistill.networks.build import students
from segdistill.networks.describe import count_parameters
from segdistill.networks.encoder_folder import EncoderCard, TaughtBy, read_encoder, save_encoder
from segdistill.networks.tokens import TokenEncoder, build_token_encoder, times_smaller
from segdistill.objectives import Collapse, Safety, build_balancing, collapsed_teachers
from segdistill.objectives.balancing import SAFE
from segdistill.settings import Agglomerate, open_run
from segdistill.study.adapting import known_in, learnt_by
from segdistill.study.arms import RULE
from segdistill.study.cost import COST, cost_of
from segdistill.study.encoder_probe import nothing_found, probe_student, probe_teachers
from segdistill.study.preparation import Prepared, prepare
from segdistill.study.provenance import command_line
from segdistill.study.same_data import claim_data, field_hashes
from segdistill.study.surroundings import machine, versions
from segdistill.study.token_stores import Heard, hear_teachers
from segdistill.targets import View, image_key
from segdistill.training.agglomerating import Agglomerated, AgglomeratingProblem, Lessons
from segdistill.training.entries import make_entry
from segdistill.training.feature_account import Match
from segdistill.training.fit import jitter_of, make_plan
from segdistill.training.linear_account import match_linearly
from segdistill.training.pictures import Picture, make_pictures

ENCODER = "encoder"
"""Folder of the encoder in the run's: `distill --protocol.encoder-weights` takes it."""

FIT = "fit"
"""Folder of checkpoints and log."""

ACCOUNT = "agglomeration.json"
"""What is known of a run that is done; written last."""

_SAME_RESULT = frozenset({"device", "out"})
_LEARNT = frozenset({"mlp", "attention"})

Notice = Callable[[str], None]


@dataclass(frozen=True)
class Agglomeration:
    """An agglomeration that is done."""

    folder: Path
    """Of the encoder: name it with ``--protocol.encoder-weights``."""

    card: EncoderCard
    """What it is."""

    account: Mapping[str, Any]
    """What stands in agglomeration.json."""


def agglomerate(settings: Agglomerate, *, notice: Notice = lambda _: None) -> Agglomeration:
    """Teach one encoder what several teachers say, or go on with it, or read back what was done before.

    No label is looked at, unless a probe is asked for; test images neither.

    Args:
        settings: Everything that is asked for.
        notice: Told what happens, line by line.

    Raises:
        SegdistillError: Anything that cannot be done as asked; see ``segdistill.errors``.
    """
    student = student_of(settings.student)
    with open_run(settings.out, settings.resolved(), ignoring=_SAME_RESULT, defaults=Agglomerate.defaults()):
        if not (settings.out / ACCOUNT).is_file():
            prepared = prepare(settings, notice=notice, tested=settings.probe)
            _make(settings, student, prepared, notice)
        account = json.loads((settings.out / ACCOUNT).read_text(encoding="utf-8"))
        return Agglomeration(settings.out / ENCODER, read_encoder(settings.out / ENCODER), account)


def student_of(name: str) -> str:
    """Return the student that a name stands for: its own, or that of a timm encoder.

    Raises:
        UnknownName: There is neither.

    >>> student_of("repvit_m0_9"), student_of("unet-tiny")
    ('unet-repvit_m0_9', 'unet-tiny')
    """
    known = students()
    if name not in known and f"unet-{name}" in known:
        return f"unet-{name}"
    if name not in known:
        raise UnknownName("student", name, known)
    return name


def _make(settings: Agglomerate, student: str, prepared: Prepared, notice: Notice) -> None:
    device = str(select_device(settings.device, notice=notice))
    claim_data(settings.out, field_hashes(prepared))
    if settings.probe:
        for name in settings.teachers:
            known_in(name, prepared)  # refuses one that was fitted on test images: the probe is scored on them
    heard = hear_teachers(settings, prepared, device=device, notice=notice)
    torch.manual_seed(settings.seed)
    encoder = build_token_encoder(student, channels=len(settings.student_channels))
    ratios = [None if each.parameters is None else times_smaller(encoder, each.parameters) for each in heard]
    _tell(encoder, student, heard, ratios, notice)
    problem = _problem(settings, encoder, heard, prepared)
    begun = _Begun(problem, settings, prepared)
    before = begun.look()
    plan = make_plan(
        settings.protocol, learning_rate=settings.protocol.learning_rate, seed=settings.seed, device=device
    )
    outcome = train(problem, settings.out / FIT, plan, notice=notice)
    settle(settings.out / FIT)
    problem.module.to("cpu").eval()
    after = begun.look()
    history = read_log(settings.out / FIT)
    collapses = _collapses(settings, history, heard)
    card = _card(settings, student, encoder, heard, ratios, prepared)
    cost = cost_of(settings.out / FIT, problem.module, batch_size=settings.protocol.batch_size, device=device)
    kept = {**card.provenance, "best_step": outcome.best_step, COST: cost}
    card = card.model_copy(update={"provenance": kept})
    save_encoder(settings.out / ENCODER, encoder.encoder, card)
    probes: dict[str, Mapping[str, float]] = {}
    if settings.probe:
        probes = probe_teachers(settings, prepared, heard, device=device)
        probes |= {"student, random": before.probe, "student": after.probe}
        if nothing := nothing_found(prepared):
            probes["nothing found"] = nothing
    account = {
        "teachers": [_account_of(each, before, after) for each in heard],
        "held_out": {"images": len(problem.validation), "views": "whole images alone"},
        "balancing": settings.balancing,
        "shares": _shares(history),
        "collapsed": [{**asdict(each), "sentence": str(each)} for each in collapses],
        "probe": probes,
        "dropped": dict(prepared.dropped),
    }
    for each in collapses:
        notice(str(each))
    write_json(settings.out / "run.json", _record(settings, prepared, heard, device))
    write_json(settings.out / ACCOUNT, account)


@dataclass(frozen=True)
class _Look:
    """What an encoder is worth at one time."""

    heads: Mapping[str, Match]
    linear: Mapping[str, Match]
    probe: Mapping[str, float]
    """Of the student's encoder, where it was asked for."""


@dataclass(frozen=True)
class _Begun:
    """An agglomeration, to be looked at before and after."""

    problem: AgglomeratingProblem
    settings: Agglomerate
    prepared: Prepared

    def look(self) -> _Look:
        """Return how well the encoder says what the teachers say, with its heads and with the best linear map."""
        problem = self.problem
        trained = problem.module.training
        problem.module.eval()
        whole = [picture for picture in problem.training if picture.key.view == 0]
        heads = problem.matches()
        linear = match_linearly(problem.whole.encoder, problem.teachers, whole, problem.validation)
        probe = probe_student(problem.whole.encoder, self.settings, self.prepared) if self.settings.probe else {}
        problem.module.train(trained)
        return _Look(heads, linear, probe)


def _problem(
    settings: Agglomerate, encoder: TokenEncoder, heard: Sequence[Heard], prepared: Prepared
) -> AgglomeratingProblem:
    stored = [each.stored for each in heard]
    labels = [each.label for each in stored]
    shares = None if settings.shares is None else dict(zip(labels, settings.shares, strict=True))
    balancing = build_balancing(
        settings.balancing, labels, weights=shares, safety=_safety(settings), seed=settings.seed
    )
    module = Agglomerated(encoder, {each.label: each.width for each in stored}, settings.terms, balancing)
    lessons = Lessons(
        terms=settings.terms,
        batch_size=settings.protocol.batch_size,
        weight_decay=settings.protocol.weight_decay,
        jitter=jitter_of(settings.protocol.intensity),
        seed=settings.seed,
    )
    views = stored[0].store.header.views
    training = [each for sample in prepared.of("train") for each in _pictures(settings, encoder, sample, views)]
    validation = [
        each for sample in prepared.of("validation") for each in _pictures(settings, encoder, sample, views[:1])
    ]
    return AgglomeratingProblem(module, stored, lessons, training=training, validation=validation)


def _pictures(settings: Agglomerate, encoder: TokenEncoder, sample: Sample, views: Sequence[View]) -> list[Picture]:
    return make_pictures(
        sample.name,
        make_entry(sample, channels=settings.student_channels, rule=RULE).image,
        image_key(sample.image),
        views=views,
        side=settings.protocol.size,
        stride=encoder.stride,
    )


def _safety(settings: Agglomerate) -> Safety | None:
    if settings.balancing not in _LEARNT:
        return None
    return Safety(
        floor=SAFE.floor if settings.floor is None else settings.floor,
        entropy=SAFE.entropy if settings.entropy is None else settings.entropy,
    )


def _tell(
    encoder: TokenEncoder, student: str, heard: Sequence[Heard], ratios: Sequence[float | None], notice: Notice
) -> None:
    notice(f"Encoder of {student}: {count_parameters(encoder):,} weights, {encoder.width} numbers per token.")
    for each, ratio in zip(heard, ratios, strict=True):
        stride, width = each.contract.tokens[each.stored.grid]
        times = "of unknown size" if ratio is None else f"{ratio:.1f} times as large"
        side = "any size" if each.contract.size is None else f"{each.contract.size} px"
        notice(f"  {each.stored.label}: {times}; sees {side}, a token of {width} numbers per {stride} px.")


def _collapses(settings: Agglomerate, history: Sequence[Mapping[str, Any]], heard: Sequence[Heard]) -> list[Collapse]:
    """Return the teachers that learnt shares have lost, with the step since when."""
    lines = [line for line in history if line.get("weights")]
    if settings.balancing not in _LEARNT or not lines:
        return []
    labels = [each.stored.label for each in heard]
    # A teacher that said nothing of a step has a share of exactly 0 there.
    shares = np.array([[line["weights"].get(f"alpha_{label}") or np.nan for label in labels] for line in lines])
    return [replace(found, since=int(lines[found.since]["step"])) for found in collapsed_teachers(shares, labels)]


def _shares(history: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the shares over time, one entry per logged step."""
    return [
        {"step": line["step"], **{name.removeprefix("alpha_"): share for name, share in line["weights"].items()}}
        for line in history
        if line.get("weights")
    ]


def _account_of(heard: Heard, before: _Look, after: _Look) -> dict[str, Any]:
    """Return how well a teacher is said, before and after; nothing where it said nothing of the validation images."""
    label = heard.stored.label
    looks = {
        "heads_untrained": before.heads,
        "heads_trained": after.heads,
        "linear_map_of_random_encoder": before.linear,
        "linear_map_of_encoder": after.linear,
    }
    found = {name: asdict(matches[label]) for name, matches in looks.items() if label in matches}
    return {"name": heard.name, "label": label, "failed": dict(heard.failed), **found}


def _card(
    settings: Agglomerate,
    student: str,
    encoder: TokenEncoder,
    heard: Sequence[Heard],
    ratios: Sequence[float | None],
    prepared: Prepared,
) -> EncoderCard:
    teachers = tuple(
        TaughtBy(
            name=each.name,
            weights_sha256=each.contract.weights_sha256,
            licence=each.contract.licence,
            size=each.contract.size,
            stride=each.contract.tokens[each.stored.grid][0],
            width=each.stored.width,
            parameters=each.parameters,
            times_smaller=ratio,
            labels_seen=each.contract.labels_seen,
            failed_on=len(each.failed),
        )
        for each, ratio in zip(heard, ratios, strict=True)
    )
    unknown = [each.name for each in teachers if each.labels_seen is None]
    notes = (f"On how many labelled images {', '.join(unknown)} was fitted, nobody stated.",) if unknown else ()
    return EncoderCard(
        architecture=student,
        channels=settings.student_channels,
        normalisation=rule_to_json(RULE),
        how=f"agglomeration of {', '.join(each.name for each in teachers)}, {settings.protocol.steps} steps",
        teachers=teachers,
        licences=tuple(dict.fromkeys(f"teacher {each.name}: {each.licence}" for each in teachers)),
        images=_shown(prepared, heard),
        labelled=tuple(sorted(frozenset[str]().union(*(learnt_by(each.name) for each in heard)))),
        labels_used=None if unknown else sum(each.labels_seen or 0 for each in teachers),
        provenance={
            "size": settings.protocol.size,
            "stride": encoder.stride,
            "width": encoder.width,
            "made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            "seed": settings.seed,
            "protocol": settings.protocol.resolved(),
            "standardisation": settings.standardisation,
            "balancing": settings.balancing,
            "terms": list(settings.terms),
            "views": settings.views,
            "versions": versions(),
            "machine": machine(settings.device),
        },
        notes=notes,
    )


def _shown(prepared: Prepared, heard: Sequence[Heard]) -> tuple[str, ...]:
    """Return the hashes of the files of all images that decided something, also of what teachers had learnt from."""
    used = {*prepared.split["train"], *prepared.split["validation"]}
    own = {image_sha256(case) for case in prepared.dataset.cases if case.name in used}
    kinds = (each.name.partition(":") for each in heard)
    before = (read_encoder(Path(place)).images for kind, _, place in kinds if kind == "encoder")
    return tuple(sorted(own.union(*before)))


def _record(settings: Agglomerate, prepared: Prepared, heard: Sequence[Heard], device: str) -> dict[str, Any]:
    return {
        "made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "command": command_line(settings, sys.argv[1:]),
        "settings": settings.resolved(),
        "versions": versions(),
        "machine": machine(device),
        "images": {name: image_key(sample.image) for name, sample in prepared.samples.items()},
        "split": {part: list(names) for part, names in prepared.split.items()},
        "licences": {each.name: each.contract.licence for each in heard},
        "teachers": {each.name: each.contract.weights_sha256 for each in heard},
        "failed": {each.name: dict(each.failed) for each in heard},
        "dropped": dict(prepared.dropped),
        "notes": list(prepared.notes),
    }
