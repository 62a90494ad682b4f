"""`segdistill adapt`: fit a SAM to a task once, and keep it for every later command."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from segdistill.engine import select_device
from segdistill.errors import ConfigError
from segdistill.settings import Adapt, open_run
from segdistill.settings.adaptation import Adaptation
from segdistill.study.adapting import Task, file_hashes, keep_frozen, make_adapter
from segdistill.study.preparation import Prepared, budget_seed, labelled_budget, prepare
from segdistill.study.same_data import claim_data, field_hashes
from segdistill.teachers.sam_adapter import CARD, WEIGHTS, AdapterCard, read_adapter

_SAME_RESULT = frozenset({"device", "out"})

Notice = Callable[[str], None]


@dataclass(frozen=True)
class Adapted:
    """An adapter that is done."""

    folder: Path
    """Name it as ``adapter:FOLDER``."""

    card: AdapterCard
    """What it is."""

    bytes: int
    """Of both its files."""


def adapt(settings: Adapt, *, notice: Notice = lambda _: None) -> Adapted:
    """Fit a SAM to a task, or go on with it, or read back what was fitted before.

    Labels of test images are never read, so what it teaches can be scored on them: give the later
    command the same data, split and split seed.

    Args:
        settings: Everything that is asked for.
        notice: Told what happens, line by line.

    Raises:
        SegdistillError: Anything that cannot be done as asked; see ``segdistill.errors``.
    """
    with open_run(settings.out, settings.resolved(), ignoring=_SAME_RESULT, defaults=Adapt.defaults()):
        if not (settings.out / CARD).is_file():
            prepared = prepare(settings, notice=notice, tested=False)
            _make(settings, prepared, notice)
        card = read_adapter(settings.out)
        return Adapted(settings.out, card, sum((settings.out / name).stat().st_size for name in (WEIGHTS, CARD)))


def _make(settings: Adapt, prepared: Prepared, notice: Notice) -> None:
    claim_data(settings.out, field_hashes(prepared))
    task = Task(
        teacher=settings.teacher,
        channels=settings.teacher_channels,
        weights=settings.teacher_weights,
        adaptation=Adaptation(**{name: getattr(settings, name) for name in Adaptation.model_fields}),
        structures=prepared.dataset.structures,
        pixel_size=settings.pixel_size,
        hashes=file_hashes(prepared),
        device=str(select_device(settings.device, notice=notice)),
        notice=notice,
    )
    validation = prepared.labelled("validation")
    if settings.how == "none":
        keep_frozen(settings.out, task, validation)
        return
    every = prepared.labelled("train")
    if not every:
        raise ConfigError(
            f"None of the {len(prepared.split['train'])} training images in {settings.data} is labelled, so there is"
            " nothing to fit a teacher on. Label some, or ask the SAM by grid, which needs no label."
        )
    names = labelled_budget(every, settings.labels, seed=budget_seed(settings.split_seed, settings.seed))
    training = [sample for sample in every if sample.name in names]
    make_adapter(settings.out, task, training, validation, seed=settings.seed)
