"""What is made of runs that are done: scores, the account, the chosen model, the record and the report."""

import csv
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from segdistill.data.labels import Structure, output_names
from segdistill.evaluation import MARGIN, Comparison
from segdistill.evaluation.document import write_conventions
from segdistill.evaluation.metrics import SHARE
from segdistill.evaluation.summary import Record
from segdistill.files import neutral_cell, whole_file
from segdistill.networks.card import read_card
from segdistill.networks.describe import describe_student
from segdistill.report import CostPoint, DataCheck, GainPoint, ReferenceRow, ShiftRow, write_report
from segdistill.settings import Settings
from segdistill.study.account import (
    MAIN,
    STUDENT,
    TEACHER,
    ArmAccount,
    make_account,
    most_labels,
    teacher_rows,
)
from segdistill.study.arms import ArmRun, Bench, ruler_of
from segdistill.study.by_column import group_scores
from segdistill.study.by_structure import structure_rows
from segdistill.study.channel_use import student_use, teacher_use
from segdistill.study.comparisons import Beside
from segdistill.study.content import Looked, make_content, mean_of, role_of, scores_in_training
from segdistill.study.described import compared_structures, structures_in_words
from segdistill.study.encoder_start import encoder_start
from segdistill.study.energy import cost_facts
from segdistill.study.every_metric import metric_rows
from segdistill.study.findings import Beyond
from segdistill.study.gallery import make_gallery
from segdistill.study.parameters import parameter_rows
from segdistill.study.provenance import command_line, tell, term_facts, weight_facts, window_facts, write_run
from segdistill.study.seen import see_tests, teacher_reliability
from segdistill.study.shift import OWN, Elsewhere, score_elsewhere, shift_rows
from segdistill.study.shown import agreement_rows, channel_rows, cost_point, reliability_curves
from segdistill.study.sizes import size_rows
from segdistill.study.surroundings import machine_in_words
from segdistill.study.teacher_row import labels_of_teacher, score_teacher
from segdistill.study.verdict import Verdict, verdict_on


@dataclass(frozen=True, eq=False)
class Question:
    """What is asked of runs that are done."""

    settings: Settings
    """Of the command, as they are recorded."""

    title: str
    """Of the report."""

    student: str = STUDENT
    """Name of the arm that the verdict is on."""

    teacher: str | None = "teacher"
    """The teacher of the ladder, by its name in the study. None: there is none."""

    margin: float = MARGIN
    """A loss of Dice that is put up with, fraction."""

    notes: tuple[str, ...] = ()
    """What a reader of the report must know beside what is found here."""

    simulated: bool = False
    """Whether the images are simulated; the verdict then says so."""

    beside: tuple[CostPoint, ...] = ()
    """Other students of the study, for score against time."""

    gains: tuple[GainPoint, ...] = ()
    """What distillation bought each student of the study, this one among them; empty: there is one student."""

    tests: Beside = field(default_factory=dict)
    """Tests of the study's other students, which belong to the same families."""

    references: tuple[ReferenceRow, ...] = ()
    """Numbers of others, to be read beside what is found here."""

    elsewhere: tuple[Elsewhere, ...] = ()
    """Other data sets, on which every student is scored as it is."""

    checked: DataCheck | None = None
    """The data, as a survey found it; None: nobody looked."""

    sizes: Mapping[str, Comparison] = field(default_factory=dict)
    """Student network to what its teacher brought it, of every network of a study."""


@dataclass(frozen=True, eq=False)
class Accounted:
    """What the runs of one student come to, before it is told."""

    records: Sequence[Record]
    """Every score, the teachers' first."""

    account: Mapping[str, ArmAccount]
    """By arm."""

    teachers: Mapping[str, str]
    """Teachers by the names of their rows."""

    structures: tuple[Structure, ...]
    """Which the account is of: all, or those that every teacher describes."""

    partly: str | None
    """Why the account is not of every structure, or not against every teacher; None: it is."""


@dataclass(frozen=True, eq=False)
class Finished:
    """What the runs of one student left."""

    folder: Path
    """Their folder."""

    account: Mapping[str, ArmAccount]
    """By arm."""

    verdict: Verdict
    """In plain words."""

    model: Path
    """The student's folder: of the seed with the best validation score."""

    report: Path
    """One HTML file."""

    shift: tuple[ShiftRow, ...] = ()
    """Each arm on other data sets, where there are any."""

    prompting: Mapping[str, str] = field(default_factory=dict)
    """Arm to how its teacher was asked, the teacher's own row among them; without those whose teacher has none."""

    run_id: str = ""
    """Identity of the runs: equal settings on equal images and labels give an equal one."""


def account_for(bench: Bench, runs: Sequence[ArmRun], question: Question) -> Accounted:
    """Score the teachers, and return what the runs of one student come to.

    Args:
        bench: What the runs shared.
        runs: Every arm and seed.
        question: What is asked of them.
    """
    arms = list(dict.fromkeys(run.arm for run in runs))
    labels = {arm.name: most_labels(run.labels for run in runs if run.arm.name == arm.name) for arm in arms}
    records: list[Record] = []
    teachers = teacher_rows(arms, question.teacher)
    for row, name in teachers.items():
        records += score_teacher(bench, name, row)
        labels[row] = labels_of_teacher(bench, name)
    records += [record for run in runs for record in run.records]
    compared, partly = _compared(bench, runs, teachers.values())
    own = _of_structures(records, compared, teachers)
    return Accounted(records, make_account(own, arms, labels, asked=question.teacher), teachers, compared, partly)


def _compared(
    bench: Bench, runs: Sequence[ArmRun], measuring: Iterable[str]
) -> tuple[tuple[Structure, ...], str | None]:
    """Return the structures that the account is of, and why not of all.

    Args:
        bench: What the runs shared.
        runs: Every arm and seed.
        measuring: Names of the teachers by which arms are measured; those of controls teach, too.
    """
    taught = dict.fromkeys([*measuring, *(run.arm.teacher for run in runs if run.arm.teacher is not None)])
    outputs = {name: bench.teachings[name].contract.outputs for name in taught}
    labelled = {record["structure"] for run in runs for record in run.records}
    scored = [each for each in bench.structures if each.name in labelled]
    compared = compared_structures(scored, outputs.values())
    return compared, structures_in_words(scored, compared, outputs) if len(bench.structures) > 1 else None


def _of_structures(records: Sequence[Record], structures: Sequence[Structure], teachers: Iterable[str]) -> list[Record]:
    """Return the scores of some structures, without teachers (by their rows) that were not scored on all of them."""
    names = {each.name for each in structures}
    scored: dict[str, set[str]] = {}
    for record in records:
        scored.setdefault(record["arm"], set()).add(record["structure"])
    partial = {row for row in teachers if not names <= scored.get(row, set())}
    return [record for record in records if record["structure"] in names and record["arm"] not in partial]


def conclude(bench: Bench, runs: Sequence[ArmRun], question: Question, found: Accounted) -> Finished:
    """Write the scores, the chosen model, the record of the runs and the report into the runs' folder.

    Args:
        bench: What the runs shared.
        runs: Every arm and seed.
        question: What is asked of them.
        found: From ``account_for``.
    """
    folder, records, account, teachers = bench.folder, found.records, found.account, found.teachers
    if found.partly is not None:
        bench.notice(found.partly)
    verdict = verdict_on(
        account,
        simulated=question.simulated,
        margin=question.margin,
        student=question.student,
        beside=question.tests,
    )
    ruler = ruler_of(bench.prepared, bench.prepared.labelled("test")[0])
    shifted = {each.name: score_elsewhere(bench, runs, each) for each in question.elsewhere}
    prompting = promptings(bench, runs, teachers)
    origins = origins_of(bench, runs, teachers)
    write_scores(folder / "scores.csv", {OWN: records, **shifted}, prompting=prompting, origins=origins)
    write_conventions(folder / "scores.csv", unit=ruler.unit, tolerance=ruler.tolerance)
    asked = [run for run in runs if run.arm.name == question.student]
    model = keep_best(folder / "model", asked)
    facts = describe_student(bench.student, channels=len(bench.channels), outputs=len(output_names(bench.structures)))
    told = tell(
        question.settings,
        bench,
        facts,
        title=question.title,
        labels=asked[0].arm.labels,
        notes=(
            *question.notes,
            *filter(None, [found.partly]),
            *(note for each in question.elsewhere for note in each.notes),
        ),
        command=command_line(question.settings, sys.argv[1:]),
    )
    own = (term_facts(runs), window_facts(model), weight_facts(bench, model), cost_facts(runs, folder, model))
    told = replace(
        told,
        references=question.references,
        provenance=(*told.provenance, *own),
        asked={row: f"prompting {prompting[row]}" for row in teachers if row in prompting},
    )
    write_run(folder / "run.json", question.settings, bench, runs, told)
    report = folder / "report.html"
    shift = tuple(row for name, there in shifted.items() for row in shift_rows(name, there, records, account))
    looked = replace(
        look(bench, runs, question, found, parameters=facts["parameters"]),
        shift=shift,
        structures=structure_rows(records, student=question.student),
        metrics=metric_rows(records),
        checked=question.checked,
        beyond=_beyond(bench, runs, question, shift),
    )
    content = make_content(account, verdict, runs, looked, told, student=question.student, beside=question.tests)
    write_report(report, content)
    return Finished(folder, account, verdict, model, report, shift, prompting, told.run_id)


def _beyond(bench: Bench, runs: Sequence[ArmRun], question: Question, shift: tuple[ShiftRow, ...]) -> Beyond:
    """Return what speaks to the papers' claims beside the account."""
    begun = {run.arm.name: encoder_start(run.arm.encoder_weights or bench.protocol.encoder_weights) for run in runs}
    return Beyond(
        teachers={name: teaching.contract.name for name, teaching in bench.teachings.items()},
        encoders={arm: start.card for arm, start in begun.items() if start is not None},
        sizes=question.sizes,
        shift=shift,
        training=scores_in_training(runs),
    )


def look(bench: Bench, runs: Sequence[ArmRun], question: Question, found: Accounted, *, parameters: int) -> Looked:
    """Return what is to be seen of the test fields beside scores; networks of several seeds by their first.

    Args:
        bench: What the runs shared.
        runs: Every arm and seed.
        question: What is asked of them.
        found: What the runs came to.
        parameters: Of the student's network.
    """
    account = found.account
    arms = {"student": question.student, "baseline": account[question.student].baseline}
    seen = see_tests(bench, runs, arms=arms, teacher=question.teacher, structures=found.structures)
    first = next(run for run in runs if run.arm.name == question.student)
    uses = {
        "teacher": teacher_use(bench, question.teacher, structures=found.structures),
        "student": student_use(bench, first, parameters=parameters, structures=found.structures),
    }
    own = cost_point(bench.student, "student", mean_of(account[question.student]), uses["student"])
    teacher = account.get(TEACHER)
    above = () if teacher is None else cost_point("teacher", role_of(teacher), mean_of(teacher), uses["teacher"])
    return Looked(
        gallery=make_gallery(bench, seen, teacher=question.teacher, structures=found.structures),
        sizes=size_rows(bench, seen),
        groups=group_scores(account, bench.prepared),
        gains=question.gains,
        parameters=parameter_rows(account, runs),
        costs=(*own, *question.beside, *above),
        machine=machine_in_words(bench.device),
        reliability=reliability_curves(seen, teacher_reliability(bench, question.teacher, found.structures)),
        agreement=agreement_rows(seen),
        channels=channel_rows(uses),
    )


def keep_best(folder: Path, runs: Sequence[ArmRun]) -> Path:
    """Copy the student of the seed with the best validation score; the test fields have no say."""
    best = max(runs, key=lambda run: (run.facts["validation"] or 0.0, -run.seed))
    for source in sorted((best.folder / "model").iterdir(), key=lambda path: path.name == "model.json"):
        with whole_file(folder / source.name) as partial:
            shutil.copyfile(source, partial)
    return folder


def promptings(bench: Bench, runs: Sequence[ArmRun], teachers: Mapping[str, str]) -> dict[str, str]:
    """Return how the teacher of each arm was asked, by the arm's name; without those whose teacher has no prompting.

    Args:
        bench: What the runs shared.
        runs: Every arm and seed.
        teachers: From ``teacher_rows``.
    """
    taught_by = {run.arm.name: run.arm.teacher for run in runs} | dict(teachers)
    found = {arm: bench.teachings[name].contract.prompting for arm, name in taught_by.items() if name is not None}
    return {arm: prompting for arm, prompting in found.items() if prompting is not None}


@dataclass(frozen=True)
class Origin:
    """What made a row of scores."""

    run: str
    """Folder of the run, relative to that of the scores; empty for a teacher."""

    weights: str
    """The first 16 digits of the hash of the weights; empty where they are not known, as of stored maps."""


def origins_of(
    bench: Bench, runs: Sequence[ArmRun], teachers: Mapping[str, str]
) -> dict[tuple[str, int | None], Origin]:
    """Return what made each row: of a student by arm and seed; of a teacher by the name of its row and no seed.

    Args:
        bench: What the runs shared.
        runs: Every arm and seed.
        teachers: From ``teacher_rows``.
    """
    found: dict[tuple[str, int | None], Origin] = {
        (run.arm.name, run.seed): Origin(
            run.folder.relative_to(bench.folder).as_posix(), read_card(run.folder / "model").weights_sha256 or ""
        )
        for run in runs
    }
    known = {row: bench.teachings[name].contract.weights_sha256 for row, name in teachers.items()}
    found |= {(row, None): Origin("", weights or "") for row, weights in known.items()}
    return {key: replace(origin, weights=origin.weights[:16]) for key, origin in found.items()}


def write_scores(
    path: Path,
    scores: Mapping[str, Sequence[Record]],
    *,
    prompting: Mapping[str, str],
    origins: Mapping[tuple[str, int | None], Origin],
) -> None:
    """Write one row per data set, arm, seed, unit, structure and metric.

    Args:
        path: Of the CSV file.
        scores: Name of the data set, ``OWN`` for the run's own test fields, to the scores on it.
        prompting: Arm to how its teacher was asked. Of arms that are not among them nothing is said.
        origins: From ``origins_of``.
    """
    columns = ["arm", "seed", "field", "image", "structure", "metric", "value", "unit", "empty", "data", "prompting"]
    columns += ["run", "weights"]
    with whole_file(path) as partial, partial.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(columns)
        for data, record in ((data, record) for data, records in scores.items() for record in records):
            asked = prompting.get(record["arm"], "")
            made = origins.get((record["arm"], record["seed"])) or origins[record["arm"], None]
            beside = {
                "image": record.get("image", ""),
                "data": data,
                "prompting": asked,
                "run": made.run,
                "weights": made.weights,
            }
            cells = ({"unit": SHARE, **record, **beside}[column] for column in columns)
            writer.writerow([neutral_cell(cell) if isinstance(cell, str) else cell for cell in cells])


def headline(finished: Finished) -> str:
    """Return the answer as it is printed at the end."""
    names = {name: _with_asked(name, arm, finished.prompting) for name, arm in finished.account.items()}
    width = max(20, *map(len, names.values()))
    rows = [
        f"  {names[name]:<{width}} {100 * arm.tables[MAIN].values.mean():5.1f} %"
        for name, arm in finished.account.items()
    ]
    lines = [*finished.verdict.sentences, "", "Dice on the test fields:", *rows, "", f"Report: {finished.report}"]
    return "\n".join(lines)


def _with_asked(name: str, arm: ArmAccount, prompting: Mapping[str, str]) -> str:
    """Return a row's name; a teacher's with how it was asked, and whether that told it the labels."""
    if arm.role != "teacher":
        return name
    words = [*([prompting[name]] if name in prompting else []), *(["an oracle"] if arm.labels.oracle else [])]
    return f"{name} ({', '.join(words)})" if words else name
