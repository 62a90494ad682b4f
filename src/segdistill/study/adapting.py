"""Fitting a SAM to a task with few labels, and keeping it as a teacher for every later command."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from segdistill.data.labels import Structure, output_names
from segdistill.data.pseudonyms import image_sha256
from segdistill.data.sample import Sample
from segdistill.engine import Outcome, select_device, trained_values
from segdistill.errors import ConfigError
from segdistill.settings import Adapt, open_run
from segdistill.study.preparation import Prepared, budget_seed, labelled_budget, prepare
from segdistill.study.provenance import machine, versions
from segdistill.teachers.contract import Contract, Teacher
from segdistill.teachers.load import load_teacher
from segdistill.teachers.request import TeacherOptions
from segdistill.teachers.sam import SamTeacher
from segdistill.teachers.sam_adapter import CARD, PREFIX, WEIGHTS, AdapterBase, AdapterCard, read_adapter, save_adapter
from segdistill.teachers.sam_build import load_sam
from segdistill.teachers.sam_learner import Fitted, new_learner
from segdistill.teachers.sam_lora import SCALING
from segdistill.training.adapting import Adaptation, fit_adapter, score_on
from segdistill.training.entries import Entry, make_entry

TARGETS: Mapping[str, tuple[str, ...]] = {
    "none": (),
    "probe": ("a head on the encoder's embedding",),
    "lora": (
        "q and v of every encoder block",
        "q and v of the mask decoder's attentions",
        "the decoder's mask tokens, upscaling and hypernetworks, and the embedding of no prompt",
    ),
    "full": ("all weights that answer without a prompt",),
}
"""What of a SAM is fitted, in the words of the card."""

_FIT = "fit"
"""Folder of checkpoints and log, beside the adapter."""

_SAME_RESULT = frozenset({"device"})

Notice = Callable[[str], None]


@dataclass(frozen=True)
class Adapted:
    """An adapter that is done."""

    folder: Path
    """Name it as ``adapter:FOLDER``."""

    card: AdapterCard
    """What it is."""

    parameters: int
    """All weights of the teacher."""

    @property
    def bytes(self) -> int:
        """Of both its files."""
        return sum((self.folder / name).stat().st_size for name in (WEIGHTS, CARD))


def adapt(settings: Adapt, *, notice: Notice = lambda _: None) -> Adapted:
    """Fit a SAM to a task, or go on with it, or read back what was fitted before.

    Test images are never looked at, so that what is taught by it can be scored on them: give the later
    command the same data, split and split seed.

    Args:
        settings: Everything that is asked for.
        notice: Told what happens, line by line.

    Raises:
        SegdistillError: Anything that cannot be done as asked; see ``segdistill.errors``.
    """
    with open_run(settings.out, settings.resolved(), ignoring=_SAME_RESULT):
        prepared = prepare(settings, notice=notice, tested=False)
        device = str(select_device(settings.device, notice=notice))
        base = _base(settings, device)
        parameters = base.parameters
        if not (settings.out / CARD).is_file():
            _make(settings, prepared, base, device, notice)
        return Adapted(settings.out, read_adapter(settings.out), parameters)


def cases_known_to(name: str, prepared: Prepared) -> frozenset[str]:
    """Return the images of a study on whose labels an adapter was fitted or chosen; none for other teachers.

    Raises:
        ConfigError: Test images are among them: what is taught by it could not be scored on those.
    """
    if not name.startswith(PREFIX):
        return frozenset()
    card = read_adapter(Path(name.removeprefix(PREFIX)))
    used = {*card.fitted_on, *card.chosen_on}
    known = frozenset(case.name for case in prepared.dataset.cases if image_sha256(case) in used)
    tested = sorted(known & set(prepared.split["test"]))
    if tested:
        raise ConfigError(
            f"{name} was fitted on the labels of {len(tested)} of the test images ({', '.join(tested[:5])}"
            f"{' …' if tested[5:] else ''}), so nothing that it teaches could be scored on them. Give this command the"
            " data, split and split-seed of `adapt`, or adapt anew with those of this command."
        )
    return known & frozenset(prepared.samples)


def _base(settings: Adapt, device: str) -> SamTeacher:
    return load_sam(
        settings.teacher,
        channels=settings.teacher_channels,
        weights=settings.teacher_weights,
        device=device,
        options=TeacherOptions(size=settings.size),
        purpose="adapter",
    )


def _make(settings: Adapt, prepared: Prepared, base: SamTeacher, device: str, notice: Notice) -> None:
    structures = prepared.dataset.structures
    training, validation = _labelled(settings, prepared)
    contract = replace(base.contract, outputs=output_names(structures), pixel_size=settings.pixel_size)
    chosen_on = _entries(contract, validation)
    if settings.how == "none":
        scores = score_on(_frozen(settings, structures, device), chosen_on, structures)
        save_adapter(settings.out, None, _card(settings, prepared, contract, ((), ()), scores, learned=0))
        return
    entries = (_entries(contract, training), chosen_on)
    _tell(settings, training, validation, structures, notice)
    how: Fitted = settings.how
    learner = new_learner(
        base.model, how, outputs=len(contract.outputs), rank=settings.rank_in_use or 1, seed=settings.seed
    )
    adaptation = Adaptation(learner, how, contract, structures, settings.protocol)
    outcome = fit_adapter(
        settings.out / _FIT, adaptation, entries=entries, seed=settings.seed, device=device, notice=notice
    )
    teacher = SamTeacher(learner.model, contract, learner.ask)
    scores = score_on(teacher, chosen_on, structures)
    learned = sum(value.numel() for value in trained_values(learner).values())
    card = _card(settings, prepared, contract, (training, validation), scores, learned=learned, outcome=outcome)
    save_adapter(settings.out, learner, card)


def _labelled(settings: Adapt, prepared: Prepared) -> tuple[list[Sample], list[Sample]]:
    every = prepared.labelled("train")
    if not every and settings.how != "none":
        raise ConfigError(
            f"None of the {len(prepared.split['train'])} training images in {settings.data} is labelled, so there is"
            " nothing to fit a teacher on. Label some, or ask the SAM by grid, which needs no label."
        )
    names = labelled_budget(every, settings.labels, seed=budget_seed(settings.split_seed, settings.seed))
    return [sample for sample in every if sample.name in names], prepared.labelled("validation")


def _entries(contract: Contract, samples: Sequence[Sample]) -> list[Entry]:
    return [make_entry(sample, channels=contract.channels, rule=contract.rule) for sample in samples]


def _tell(
    settings: Adapt,
    training: Sequence[Sample],
    validation: Sequence[Sample],
    structures: Sequence[Structure],
    notice: Notice,
) -> None:
    names = ", ".join(structure.name for structure in structures)
    chosen = f"chosen on {len(validation)} more" if validation else "no validation images: the last weights are kept"
    notice(f"Fitting {settings.teacher} ({settings.how}) to {names} on {len(training)} labelled images; {chosen}.")
    if not any(sample.planes.any() for sample in training):
        notice("No training image shows anything labelled: all masks are empty, and an empty answer is what is learnt.")


def _frozen(settings: Adapt, structures: Sequence[Structure], device: str) -> Teacher:
    """Return the SAM as it answers by itself: without a prompt where it was tuned, else by a grid of points.

    Raises:
        ConfigError: It gives other maps than those that are labelled.
    """
    teacher = load_teacher(
        settings.teacher,
        channels=settings.teacher_channels,
        structures=structures,
        weights=settings.teacher_weights,
        device=device,
        options=TeacherOptions(size=settings.size),
    )
    given, wanted = teacher.contract.outputs, output_names(structures)
    if not set(wanted) <= set(given):
        raise ConfigError(
            f"Teacher {settings.teacher!r} by itself gives {', '.join(given)}, but the labels are of"
            f" {', '.join(wanted)}: there is nothing to compare. Call the labels by those names"
            " (--structure), or fit it."
        )
    return teacher


def _card(
    settings: Adapt,
    prepared: Prepared,
    contract: Contract,
    used: tuple[Sequence[Sample], Sequence[Sample]],
    scores: Mapping[str, float],
    *,
    learned: int,
    outcome: Outcome | None = None,
) -> AdapterCard:
    hashes = {case.name: image_sha256(case) for case in prepared.dataset.cases}
    fitted_on, chosen_on = (tuple(sorted(hashes[sample.name] for sample in samples)) for samples in used)
    plain = settings.resolved()
    return AdapterCard(
        how=settings.how,
        base=AdapterBase(
            name=settings.teacher,
            weights_sha256=contract.weights_sha256,
            licence=contract.licence,
            labels_seen=contract.labels_seen,
        ),
        rank=settings.rank_in_use,
        scaling=None if settings.rank_in_use is None else SCALING,
        targets=TARGETS[settings.how],
        channels=contract.channels,
        outputs=contract.outputs,
        size=contract.size or 0,
        tile=contract.tile,
        pixel_size=contract.pixel_size,
        fitted_on=fitted_on,
        chosen_on=chosen_on,
        validation=dict(scores),
        learned=learned,
        provenance={
            "made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            "settings": {name: value for name, value in plain.items() if name not in {"data", "out"}},
            "best_step": None if outcome is None else outcome.best_step,
            "versions": versions(),
            "machine": machine(str(settings.device)),
        },
    )
