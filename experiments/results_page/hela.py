"""`livecell_phase`: one HeLa field left out at a time, other cell lines as a shift, and what is still missing."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from results_page.readings import beside_of
from results_page.sections import study_section
from results_page.stored import METRICS, Result, make_study
from results_page.words import listed, table
from segdistill.evaluation import mean_sd
from segdistill.report import Spread
from segdistill.report.wording import NONE, as_count, as_spread

MAIN_STUDENT = "resnet18"
OTHERS = ("efficientnet-b0", "mobilenetv3", "swin-tiny")
FOLDS = (1, 2, 3, 4, 5)
SEEDS = (0, 1, 2)
ALL_ARMS = ("baseline", "student", "control", "targets-alone", "all-labels", "all-labels-student", "teacher")
TWO_ARMS = ("baseline", "student")
OTHERS_FOLDS = 2
"""The other students are compulsory on any two fields, with any seed."""

COMMAND = "python experiments/livecell.py --data DATA --runs RUNS"

_NAME = re.compile(r"livecell_phase/(?P<student>.+)_fold(?P<fold>\d+)")

Folds = Mapping[str, Mapping[int, Result]]
"""Student, without its ``unet-``, to fold to result."""


@dataclass(frozen=True)
class Cell:
    """One cell of the matrix of runs: a student on one left-out field with one seed, or a missing one."""

    student: str
    fold: int | None
    """None: any field that is not done yet."""
    seed: int | None
    """None: any seed."""
    absent: tuple[str, ...]
    """Arms that are missing; empty where the cell is done."""


def folds_of(results: Mapping[str, Result]) -> dict[str, dict[int, Result]]:
    """Return the results of this experiment by student and fold."""
    found: dict[str, dict[int, Result]] = {}
    for name, result in results.items():
        match = _NAME.fullmatch(name)
        if match:
            found.setdefault(match["student"], {})[int(match["fold"])] = result
    return {student: dict(sorted(folds.items())) for student, folds in sorted(found.items())}


def compulsory_cells(folds: Folds) -> list[Cell]:
    """Return every compulsory cell, with the arms that it lacks."""
    cells = [_cell(folds, MAIN_STUDENT, fold, seed) for fold in FOLDS for seed in SEEDS]
    for student in OTHERS:
        done = [
            Cell(student, fold, None, ()) for fold, result in folds.get(student, {}).items() if _has(result, TWO_ARMS)
        ]
        missing = [Cell(student, None, None, TWO_ARMS)] * (OTHERS_FOLDS - len(done))
        cells += [*done[:OTHERS_FOLDS], *missing]
    return cells


def coverage(folds: Folds) -> str:
    """Return which compulsory cells are done and which are missing, plainly."""
    cells = compulsory_cells(folds)
    missing = [cell for cell in cells if cell.absent]
    done = len(cells) - len(missing)
    first = f"**{done} of {len(cells)} compulsory cells are done"
    head = f"{first}.**" if not missing else f"{first}; {len(missing)} are missing.**"
    rows = []
    for student in (MAIN_STUDENT, *OTHERS):
        own = [cell for cell in cells if cell.student == student]
        lacking = [cell for cell in own if cell.absent]
        wanted = (
            f"all arms, {as_count(len(FOLDS), 'field')}, {as_count(len(SEEDS), 'seed')}"
            if student == MAIN_STUDENT
            else f"{' and '.join(TWO_ARMS)}, {as_count(OTHERS_FOLDS, 'field')}"
        )
        also = [f"fold {fold} (seeds {listed(result.seeds)})" for fold, result in folds.get(student, {}).items()]
        rows.append(
            [
                f"unet-{student}",
                wanted,
                f"{len(own) - len(lacking)} of {len(own)}",
                _missing_words(lacking),
                listed(also) or NONE,
            ]
        )
    body = table(["student", "compulsory", "done", "missing", "all that was run"], rows)
    explained = f"A cell is a left-out field; for unet-{MAIN_STUDENT}, with one seed."
    return f"{head} {explained} Command for what is missing: `{COMMAND}`.\n\n{body}"


def hela_sections(folds: Folds, pictures: Mapping[str, str]) -> list[str]:
    """Return the paragraphs of this experiment.

    Args:
        folds: What was run.
        pictures: Student to the path of its picture.
    """
    parts = [coverage(folds)]
    studies = {student: study for student, results in folds.items() if (study := make_study([*results.values()]))}
    beside = beside_of(studies)
    for student, results in folds.items():
        own = list(results.values())
        study = studies.get(student)
        parts.append(f"### unet-{student}, {as_count(len(own), 'field')} left out in turn")
        if study is None:
            parts.append("No seed is common to all of these fields, so there is no account of them together.")
            continue
        parts += study_section(
            study,
            command=_command(student, results),
            picture=pictures.get(student),
            remarks=_seed_remarks(own, study.seeds),
            beside=beside[student],
        )
        parts += shift_section(own)
    return parts


def shift_section(results: Sequence[Result]) -> list[str]:
    """Return how the students of these folds do on other cell lines, and on how many runs the teacher helped there."""
    kept = [result for result in results if result.content.get("shift")]
    if not kept:
        return ["**Shift to other cell lines**", "Not kept by these results."]
    arms = [arm for arm in ALL_ARMS if any(arm in result.content["shift"] for result in kept)]
    lines = sorted(
        {
            line
            for result in kept
            for seeds in result.content["shift"].values()
            for own in seeds.values()
            for line in own
        }
    )
    parts = [
        "**Shift to other cell lines**",
        "Trained on HeLa alone; mean over folds, ± sd over seeds, percent. One field per line (n = 1 each).",
    ]
    for metric, words in METRICS.items():
        rows = [[arm, *(_shift_cell(kept, arm, line, metric) for line in lines)] for arm in arms]
        if any(cell != NONE for row in rows for cell in row[1:]):
            parts.append(table([words, *lines], rows))
    return [*parts, *_shift_reading(kept, lines)]


def _cell(folds: Folds, student: str, fold: int, seed: int) -> Cell:
    result = folds.get(student, {}).get(fold)
    if result is None or seed not in result.seeds:
        return Cell(student, fold, seed, ALL_ARMS)
    return Cell(student, fold, seed, tuple(arm for arm in ALL_ARMS if arm not in result.content["scores"]))


def _has(result: Result, arms: Sequence[str]) -> bool:
    return set(arms) <= set(result.content["scores"])


def _missing_words(cells: Sequence[Cell]) -> str:
    """Return the missing cells of one student, the seeds of a fold together."""
    seeds: dict[tuple[int, tuple[str, ...]], list[int]] = {}
    for cell in cells:
        if cell.fold is not None and cell.seed is not None:
            seeds.setdefault((cell.fold, cell.absent), []).append(cell.seed)
    words = [
        f"fold {fold}, {'seed' if len(own) == 1 else 'seeds'} {listed(own)}"
        + ("" if absent == ALL_ARMS else f" ({listed(absent)})")
        for (fold, absent), own in seeds.items()
    ]
    open_fields = sum(cell.fold is None for cell in cells)
    return "; ".join([*words, *([as_count(open_fields, "field")] if open_fields else [])]) or "nothing"


def _command(student: str, results: Mapping[int, Result]) -> str:
    seeds = sorted({seed for result in results.values() for seed in result.seeds})
    return (
        f"{COMMAND} --student unet-{student} --folds {' '.join(map(str, results))} --seeds {' '.join(map(str, seeds))}"
    )


def _seed_remarks(results: Sequence[Result], common: Sequence[int]) -> list[str]:
    more = [
        f"{result.name} also {listed(extra)}"
        for result in results
        if (extra := sorted(set(result.seeds) - set(common)))
    ]
    if not more:
        return []
    return [f"Only seeds {listed(common)} are common to all fields and enter the tables ({'; '.join(more)})."]


def _shift_scores(result: Result, arm: str, line: str, metric: str) -> dict[str, float]:
    """Return seed to score; empty where it was not kept."""
    seeds = result.content["shift"].get(arm, {})
    return {seed: own[line][metric] for seed, own in seeds.items() if metric in own.get(line, {})}


def _shift_cell(results: Sequence[Result], arm: str, line: str, metric: str) -> str:
    """Return the mean over folds and seeds, ± sd over the seeds that all folds have."""
    by_fold = [_shift_scores(result, arm, line, metric) for result in results]
    seeds = sorted(set.intersection(*map(set, by_fold)))
    if not seeds:
        return NONE
    mean, sd = mean_sd(np.array([[scores[seed] for scores in by_fold] for seed in seeds], dtype=np.float64))
    return as_spread(Spread(mean=mean, sd=sd))


def _shift_reading(results: Sequence[Result], lines: Sequence[str]) -> list[str]:
    """Return on how many of the paired runs the student beats the baseline, by cell line."""
    words = []
    for line in lines:
        student, baseline = (
            {
                (result.name, seed): score
                for result in results
                for seed, score in _shift_scores(result, arm, line, "dice").items()
            }
            for arm in TWO_ARMS[::-1]
        )
        pairs = sorted(set(student) & set(baseline))
        if pairs:
            better = sum(student[pair] > baseline[pair] for pair in pairs)
            words.append(f"{line} {better} of {len(pairs)}")
    return (
        [f"Runs (fold and seed) in which the student has more Dice than its baseline: {'; '.join(words)}."]
        if words
        else []
    )
