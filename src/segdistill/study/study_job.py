"""A study from end to end: what is missing is run, and where nothing is missing it is accounted for."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from segdistill.engine import DamagedRun, check_at_once, select_device, side_by_side
from segdistill.errors import ConfigError
from segdistill.files import write_json
from segdistill.objectives import distillation_term
from segdistill.settings import Study, TeacherSpec, open_run
from segdistill.settings.run_folder import (
    SETTINGS_FILE,
    FolderInUse,
    claim_settings,
    is_bare,
    is_begun,
    my_turn,
    refuse_foreign,
)
from segdistill.settings.shard import part_of
from segdistill.study.arms import DONE, RULE, ArmRun, Bench, labels_of, make_entries, read_arm, run_arm
from segdistill.study.arms_at_once import packed
from segdistill.study.cells import Cell, cells_of
from segdistill.study.data_check import data_check_in
from segdistill.study.early import check_asked, check_channels, check_precisions, check_teachers
from segdistill.study.encoder_start import check_encoder
from segdistill.study.heard import is_shuffled_by_groups, keep_shuffled_by_groups
from segdistill.study.preparation import Prepared, prepare
from segdistill.study.same_data import claim_data, field_hashes, without_lost_data
from segdistill.study.seen_before import seen_before
from segdistill.study.shift import Elsewhere, read_elsewhere
from segdistill.study.shuffling import lent_by_neighbours, reading
from segdistill.study.starting import check_start, read_start
from segdistill.study.teaching import Asked, Teaching, teach
from segdistill.study.terms import check_terms

NAMED = frozenset({"arm.role"})
"""What a run was called in an account; it may change between two calls, as nothing is trained by it."""

Notice = Callable[[str], None]

MAY_CHANGE = frozenset(
    {
        "arms",
        "at_once",
        "by",
        "data",
        "out",
        "students",
        "teachers",
        "labels",
        "objective",
        "seeds",
        "protocol",
        "margin",
        "references",
        "shard",
        "device",
        "shift",
    }
)
"""What of a study may differ between two calls on one folder: every run keeps, and checks, its own settings.

What the data are is compared, wherever they lie: see ``same_data``."""


@dataclass(frozen=True, eq=False)
class StudyState:
    """How far a study is."""

    folder: Path
    """Of the study."""

    runs: Mapping[Cell, ArmRun]
    """What is done, by anybody."""

    missing: tuple[Cell, ...]
    """What is not."""

    benches: Mapping[str, Bench]
    """Student to what its runs shared."""

    elsewhere: tuple[Elsewhere, ...] = ()
    """Other data sets to score students on."""


def study(settings: Study, *, notice: Notice = lambda _: None) -> StudyState:
    """Run what is missing of a study.

    Several processes, on several machines, may work in one folder: each takes its shard, and leaves
    alone what another is at. Whatever is there already is not done again; arms, students, teachers,
    budgets and seeds may be added to a study that is done.

    Args:
        settings: Everything that is asked for.
        notice: Told what happens, line by line.

    Raises:
        ConfigError: Another study, or another command, began this folder; or an arm that was run
            before is now defined otherwise.
        SegdistillError: Anything else that cannot be done as asked; see ``segdistill.errors``.
    """
    check_at_once(settings.at_once)
    cells = cells_of(settings)
    check_terms([cell.arm for cell in cells])
    claim(settings, cells, notice=notice)
    prepared = prepare(settings, notice=notice)
    _check_early(settings, cells, prepared)
    with my_turn(settings.out, notice=notice):
        hashes = field_hashes(prepared)
        claim_data(settings.out, hashes)
        data_check_in(settings.out, prepared, hashes, private=settings.private, notice=notice)
    teachers = _teachers_asked(settings).values()
    encoders = [settings.protocol_of(arm).encoder_weights for arm in settings.arms]
    elsewhere = read_elsewhere(
        settings.shift,
        prepared,
        settings.student_channels,
        before=lambda: seen_before(teachers, start=settings.start, encoders=encoders),
        private=settings.private,
        notice=notice,
    )
    benches = make_benches(settings, prepared, notice)
    number, count = part_of(settings.shard)
    _run_all(settings, benches, cells[number::count], notice)
    runs = {cell: run for cell in cells if (run := _read(settings, benches[cell.student], cell)) is not None}
    return StudyState(settings.out, runs, tuple(cell for cell in cells if cell not in runs), benches, elsewhere)


def _check_early(settings: Study, cells: Sequence[Cell], prepared: Prepared) -> None:
    """Refuse what cannot be done, before anything is computed."""
    arms = list(dict.fromkeys(cell.arm for cell in cells))
    names, seeds, split_seed = settings.students, settings.seeds, settings.split_seed
    check_asked(prepared, arms, names=names, seeds=seeds, split_seed=split_seed)
    check_channels(prepared, settings.student_channels, who="students")
    for arm in settings.arms:
        check_channels(prepared, (*arm.dropped_channels, *arm.predicted_channels), who=f"arm {arm.name}")
    teachers = _teachers_asked(settings)
    check_teachers(teachers.values())
    for name, spec in teachers.items():
        check_channels(prepared, spec.channels, who=f"teacher {name}")
        reading(prepared, spec.shuffled)  # refuses what nobody could lend


def _teachers_asked(settings: Study) -> dict[str, TeacherSpec]:
    """Return the teachers that an arm learns from, by name."""
    asked = {arm.teacher for arm in settings.arms}
    return {name: spec for name, spec in settings.teachers.items() if name in asked}


def claim(settings: Study, cells: Sequence[Cell], *, notice: Notice) -> None:
    """Take a folder for a study, or extend the study that is in it.

    Raises:
        ConfigError: It belongs to something else, lacks arms that were there, or defines one otherwise.
    """
    whole = {"command": "study", **settings.resolved()}
    refuse_foreign(settings.out)
    may_change = without_lost_data(MAY_CHANGE, settings.data)
    with my_turn(settings.out, notice=notice):
        if is_begun(settings.out, whole, ignoring=may_change, defaults=Study.defaults(), within=settings.out):
            before = json.loads((settings.out / SETTINGS_FILE).read_text(encoding="utf-8"))
            gone = {arm["name"] for arm in before["arms"]} - {arm.name for arm in settings.arms}
            if gone and not is_bare(settings.out):
                raise ConfigError(
                    f"The study in {settings.out} has the arms {', '.join(sorted(gone))}, which this one lacks, so this"
                    " is another study. Add them, or choose a new folder for --out."
                )
        for cell in cells:
            own, folder = cell.settings(settings), folder_of(settings, cell)
            is_begun(folder, own, ignoring=NAMED, defaults=cell.defaults(), within=folder)
        write_json(settings.out / SETTINGS_FILE, whole)


def folder_of(settings: Study, cell: Cell) -> Path:
    """Return the folder of a run."""
    return settings.out / cell.student / "arms" / cell.arm.name / str(cell.seed)


def make_benches(settings: Study, prepared: Prepared, notice: Notice) -> dict[str, Bench]:
    """Return what the runs of each student share; the teachers have spoken."""
    for arm in settings.arms:
        for student in settings.students:
            weights = settings.protocol_of(arm).encoder_weights
            check_encoder(weights, prepared, student=student, channels=settings.student_channels, rule=RULE)
    starts = {
        student: read_start(
            settings.start,
            student=student,
            channels=settings.student_channels,
            structures=prepared.dataset.structures,
            rule=RULE,
            run=settings.out / student,
            notice=notice,
        )
        for student in settings.students
    }
    for start in starts.values():
        check_start(start, prepared)
    device = str(select_device(settings.device, notice=notice))
    protocols = [settings.protocol_of(arm) for arm in settings.arms]
    check_precisions({each.precision for each in protocols}, torch.device(device).type)
    entries = make_entries(prepared.samples, settings.student_channels)
    compared = {
        arm.teacher for arm in settings.arms if distillation_term(settings.objective_of(arm).distillation).prototypes
    }
    teachings: dict[str, Teaching] = {}
    for name, spec in _teachers_asked(settings).items():
        asked_for = Asked(
            name, spec, settings.out, settings.teachers_protocol, device, notice, features=name in compared
        )
        folder = settings.out / "teachers" / name
        with my_turn(folder, notice=notice):
            claim_settings(folder, asked_for.settings(), defaults=asked_for.defaults(), within=settings.out)
            if spec.shuffled:
                _leave_neighbours(settings, name, prepared, notice)
            teachings[name] = teach(asked_for, prepared)
    return {
        student: Bench(
            folder=settings.out / student,
            prepared=prepared,
            protocol=settings.protocol,
            student=student,
            channels=settings.student_channels,
            entries=entries,
            teachings=teachings,
            device=device,
            split_seed=settings.split_seed,
            notice=notice,
            start=starts[student],
            at_once=settings.at_once,
        )
        for student in settings.students
    }


def _leave_neighbours(settings: Study, name: str, prepared: Prepared, notice: Notice) -> None:
    """Set aside the runs of a teacher that was lent channels by neighbours of the same group: they are begun anew.

    Earlier versions did that. Where no image is lent another channel by now, as where every group is one image, what
    is there stays.

    Args:
        settings: Of the study.
        name: The teacher, which nobody else claims at the same time.
        prepared: The images.
        notice: Told of what is set aside.
    """
    if is_shuffled_by_groups(settings.out, name):
        return
    if lent_by_neighbours(prepared, settings.teachers[name].shuffled):
        for record in sorted(settings.out.glob(f"*/arms/*/*/{SETTINGS_FILE}")):
            folder = record.parent
            teacher = json.loads(record.read_text(encoding="utf-8")).get("arm", {}).get("teacher")
            if teacher == name and folder.name.isdigit():
                _set_aside(folder, why="neighbours")
                notice(
                    f"{folder} is begun anew: the {name} was shown channels of images of the same group there, by an"
                    " earlier version. What was there is kept beside it."
                )
    keep_shuffled_by_groups(settings.out, name)


def _read(settings: Study, bench: Bench, cell: Cell) -> ArmRun | None:
    own = replace(bench, protocol=cell.protocol)
    labels = labels_of(own, cell.arm, cell.seed)
    return read_arm(folder_of(settings, cell), cell.arm, cell.seed, labels, notice=bench.notice)


def _run_all(settings: Study, benches: Mapping[str, Bench], cells: Sequence[Cell], notice: Notice) -> None:
    """Do some runs, as many at once as is asked for."""
    if settings.at_once == 1:
        for cell in cells:
            _run(settings, benches[cell.student], cell)
        return
    missing = [cell for cell in cells if not (folder_of(settings, cell) / DONE).exists()]
    shared = settings, {student: packed(bench) for student, bench in benches.items()}
    side_by_side(_run_packed, shared, missing, at_once=settings.at_once, notice=notice)


def _run_packed(shared: tuple[Study, Mapping[str, Bench]], cell: Cell, notice: Notice) -> None:
    settings, benches = shared
    _run(settings, replace(benches[cell.student], notice=notice), cell)


def _run(settings: Study, bench: Bench, cell: Cell) -> None:
    """Do one run, unless it is done or another process is at it; one that is damaged is begun anew."""
    place = f"{cell.student} {cell.arm.name}, seed {cell.seed}"
    own = replace(bench, protocol=cell.protocol, notice=lambda text: bench.notice(f"{place}: {text}"))
    folder = folder_of(settings, cell)
    try:
        with open_run(folder, cell.settings(settings), ignoring=NAMED, defaults=cell.defaults()):
            try:
                run_arm(own, cell.arm, cell.seed)
                return
            except DamagedRun as error:
                own.notice(f"{error} It is begun anew; what was there is kept beside it.")
        _set_aside(folder, why="damaged")
        with open_run(folder, cell.settings(settings), ignoring=NAMED, defaults=cell.defaults()):
            run_arm(own, cell.arm, cell.seed)
    except FolderInUse:
        own.notice("another process is at it.")


def _set_aside(folder: Path, *, why: str) -> None:
    """Rename the folder of a run that is begun anew, by a word that says why."""
    number = 1
    while (target := folder.with_name(f"{folder.name}.{why}-{number}")).exists():
        number += 1
    folder.rename(target)
