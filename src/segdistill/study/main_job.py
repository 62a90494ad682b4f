"""The main job from end to end: teach, train every arm and seed, account for it, report it."""

from collections.abc import Callable, Sequence

import torch

from segdistill.engine import check_at_once, select_device
from segdistill.objectives import distillation_term
from segdistill.settings import Distill, open_run
from segdistill.settings.teacher import called
from segdistill.study.arms import RULE, Bench, make_entries
from segdistill.study.arms_at_once import run_arms
from segdistill.study.conclusion import Finished, Question, account_for, conclude
from segdistill.study.data_check import data_check_in
from segdistill.study.early import check_asked, check_channels, check_precisions, check_teachers
from segdistill.study.encoder_start import check_encoder
from segdistill.study.preparation import Prepared, prepare
from segdistill.study.same_data import claim_data, field_hashes, without_lost_data
from segdistill.study.seen_before import seen_before
from segdistill.study.shift import read_elsewhere
from segdistill.study.starting import check_start, read_start
from segdistill.study.teaching import Asked, teach
from segdistill.study.terms import check_terms

SAME_RESULT = frozenset({"at_once", "by", "data", "device", "out", "seeds", "margin", "shift"})
"""Settings that may change between two calls on one folder: what is there stays true. Seeds may be added, and other
data sets to score on. Data and run may lie elsewhere by now: what the data are is compared, see ``same_data``."""

Notice = Callable[[str], None]


def distill(
    settings: Distill, *, notice: Notice = lambda _: None, notes: Sequence[str] = (), simulated: bool = False
) -> Finished:
    """Make a small student from a teacher, and say what that bought.

    Whatever an interrupted call completed is not done again.

    Args:
        settings: Everything that is asked for.
        notice: Told what happens, line by line.
        notes: What a reader of the report must know beside what is found here.
        simulated: Whether the images are simulated; the verdict then says so.

    Raises:
        SegdistillError: Anything that cannot be done as asked; see ``segdistill.errors``.
    """
    check_at_once(settings.at_once)
    check_terms(settings.arms())
    may_change = without_lost_data(SAME_RESULT, settings.data)
    with open_run(settings.out, settings.resolved(), ignoring=may_change, defaults=Distill.defaults()):
        prepared = prepare(settings, notice=notice)
        _check_early(settings, prepared)
        teachers, encoders = settings.teachers().values(), [settings.protocol.encoder_weights]
        elsewhere = read_elsewhere(
            settings.shift,
            prepared,
            settings.student_channels,
            before=lambda: seen_before(teachers, start=settings.start, encoders=encoders),
            private=settings.private,
            notice=notice,
        )
        bench = make_bench(settings, prepared, notice)
        runs = run_arms(bench, [(arm, seed) for arm in settings.arms() for seed in settings.seeds])
        question = Question(
            settings,
            title=f"{settings.student} on {', '.join(settings.student_channels)}, taught by {called(settings.teacher)}",
            margin=settings.margin,
            notes=tuple(notes),
            simulated=simulated,
            elsewhere=elsewhere,
            checked=data_check_in(settings.out, prepared, field_hashes(prepared), private=settings.private),
        )
        return conclude(bench, runs, question, account_for(bench, runs, question))


def _check_early(settings: Distill, prepared: Prepared) -> None:
    """Refuse what cannot be done, before anything is computed."""
    seeds, split_seed = settings.seeds, settings.split_seed
    check_asked(prepared, settings.arms(), names=[settings.student], seeds=seeds, split_seed=split_seed)
    check_channels(prepared, settings.student_channels, who="student")
    check_teachers(settings.teachers().values())
    for name, spec in settings.teachers().items():
        check_channels(prepared, spec.channels, who=name)


def make_bench(settings: Distill, prepared: Prepared, notice: Notice) -> Bench:
    """Return what all arms share; the teachers have spoken."""
    weights = settings.protocol.encoder_weights
    check_encoder(weights, prepared, student=settings.student, channels=settings.student_channels, rule=RULE)
    start = read_start(
        settings.start,
        student=settings.student,
        channels=settings.student_channels,
        structures=prepared.dataset.structures,
        rule=RULE,
        run=settings.out,
        notice=notice,
    )
    check_start(start, prepared)
    device = str(select_device(settings.device, notice=notice))
    check_precisions([settings.protocol.precision], torch.device(device).type)
    entries = make_entries(prepared.samples, settings.student_channels)
    hashes = field_hashes(prepared)
    claim_data(settings.out, hashes)
    data_check_in(settings.out, prepared, hashes, private=settings.private, notice=notice)
    compares = distillation_term(settings.objective.distillation).prototypes
    teachings = {
        name: teach(
            Asked(name, spec, settings.out, settings.teachers_protocol, device, notice, settings.targets, compares),
            prepared,
        )
        for name, spec in settings.teachers().items()
    }
    return Bench(
        folder=settings.out,
        prepared=prepared,
        protocol=settings.protocol,
        student=settings.student,
        channels=settings.student_channels,
        entries=entries,
        teachings=teachings,
        device=device,
        split_seed=settings.split_seed,
        notice=notice,
        start=start,
        at_once=settings.at_once,
    )
