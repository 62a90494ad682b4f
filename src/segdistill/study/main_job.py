"""The main job from end to end: teach, train every arm and seed, account for it, report it."""

import csv
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from segdistill.data.labels import output_names
from segdistill.engine import select_device
from segdistill.evaluation.summary import Record
from segdistill.files import neutral_cell, whole_file
from segdistill.networks.describe import describe_student
from segdistill.report import write_report
from segdistill.settings import Distill, open_run
from segdistill.study.account import MAIN, TEACHER, ArmAccount, Labels, make_account
from segdistill.study.arms import ArmRun, Bench, make_entries, run_arm, score_maps
from segdistill.study.content import make_content
from segdistill.study.gallery import make_gallery
from segdistill.study.preparation import Prepared, prepare
from segdistill.study.provenance import tell, write_run
from segdistill.study.teaching import teach
from segdistill.study.verdict import Verdict, verdict_on

SAME_RESULT = frozenset({"device", "seeds"})
"""Settings that may change between two calls on one folder: what is there stays true. Seeds may be added."""

Notice = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Finished:
    """What the main job left."""

    folder: Path
    """The run folder."""

    account: Mapping[str, ArmAccount]
    """By arm."""

    verdict: Verdict
    """In plain words."""

    model: Path
    """The student's folder: of the seed with the best validation score."""

    report: Path
    """One HTML file."""


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
    with open_run(settings.out, settings.resolved(), ignoring=SAME_RESULT):
        prepared = prepare(settings, notice=notice)
        bench = make_bench(settings, prepared, notice)
        teacher = score_teacher(bench)
        runs = [run_arm(bench, arm, seed) for arm in settings.arms() for seed in settings.seeds]
        return conclude(settings, bench, runs, teacher, notes=notes, simulated=simulated)


def make_bench(settings: Distill, prepared: Prepared, notice: Notice) -> Bench:
    """Return what all arms share; the teachers have spoken."""
    device = str(select_device(settings.device, notice=notice))
    teachings = {"teacher": teach(settings, prepared, "teacher", device=device, notice=notice)}
    if settings.control is not None:
        teachings["control"] = teach(settings, prepared, "control", device=device, notice=notice)
    return Bench(
        folder=settings.out,
        prepared=prepared,
        protocol=settings.protocol,
        student=settings.student,
        channels=settings.student_channels,
        entries=make_entries(prepared.samples, settings.student_channels),
        teachings=teachings,
        device=device,
        split_seed=settings.split_seed,
        notice=notice,
    )


def score_teacher(bench: Bench) -> list[Record]:
    """Return the teacher's own scores on the test fields, where it gives every map that the student gives."""
    teaching = bench.teachings["teacher"]
    if any(name not in teaching.contract.outputs for name in output_names(bench.structures)):
        return []
    records: list[Record] = []
    for sample in bench.prepared.labelled("test"):
        maps = teaching.maps(sample.name, output_names(bench.structures))
        records += score_maps(bench.prepared, sample, maps, {}, TEACHER, seed=0)
    return records


def conclude(
    settings: Distill,
    bench: Bench,
    runs: Sequence[ArmRun],
    teacher: Sequence[Record],
    *,
    notes: Sequence[str],
    simulated: bool,
) -> Finished:
    """Write the scores, the chosen model, the record of the run and the report."""
    records = [*teacher, *(record for run in runs for record in run.records)]
    contract = bench.teachings["teacher"].contract
    labels = {run.arm.name: run.labels for run in runs}
    labels[TEACHER] = Labels(0, 0, contract.labels_seen, oracle=contract.oracle)
    account = make_account(records, settings.arms(), labels)
    verdict = verdict_on(account, simulated=simulated)
    write_scores(settings.out / "scores.csv", records)
    model = keep_best(settings.out / "model", [run for run in runs if run.arm.name == "student"])
    facts = describe_student(
        settings.student, channels=len(bench.channels), outputs=len(output_names(bench.structures))
    )
    told = tell(settings, bench, facts, notes=notes, command=shlex.join(["segdistill", *sys.argv[1:]]))
    write_run(settings.out / "run.json", settings, bench, runs, told)
    report = settings.out / "report.html"
    write_report(report, make_content(account, verdict, runs, make_gallery(bench, runs), told))
    return Finished(settings.out, account, verdict, model, report)


def keep_best(folder: Path, runs: Sequence[ArmRun]) -> Path:
    """Copy the student of the seed with the best validation score; the test fields have no say."""
    best = max(runs, key=lambda run: (run.facts["validation"] or 0.0, -run.seed))
    for source in sorted((best.folder / "model").iterdir(), key=lambda path: path.name == "model.json"):
        with whole_file(folder / source.name) as partial:
            shutil.copyfile(source, partial)
    return folder


def write_scores(path: Path, records: Sequence[Record]) -> None:
    """Write one row per arm, seed, unit, structure and metric."""
    columns = ["arm", "seed", "field", "structure", "metric", "value", "empty"]
    with whole_file(path) as partial, partial.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(columns)
        for record in records:
            writer.writerow([neutral_cell(cell) if isinstance(cell := record[c], str) else cell for c in columns])


def headline(finished: Finished) -> str:
    """Return the answer as it is printed at the end."""
    rows = [f"  {arm.name:<20} {100 * arm.tables[MAIN].values.mean():5.1f} %" for arm in finished.account.values()]
    lines = [*finished.verdict.sentences, "", "Dice on the test fields:", *rows, "", f"Report: {finished.report}"]
    return "\n".join(lines)
