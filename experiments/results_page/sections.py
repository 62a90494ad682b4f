"""What is said of one study: how it was made, its account, its tables, its reading."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from results_page.readings import compared_of, reading
from results_page.stored import METRICS, Result, Study
from results_page.words import (
    between,
    folded,
    gain_words,
    labels_words,
    listed,
    percent_spread,
    points,
    ratio_words,
    spread_over_fields,
    table,
)
from segdistill.evaluation import ScoreTable, mean_sd
from segdistill.report import Spread
from segdistill.report.wording import as_count, as_effect, as_p, as_percent, as_size, as_spread
from segdistill.study.account import MAIN, STUDENT, TEACHER
from segdistill.study.comparisons import ALONE, Beside, Compared
from segdistill.study.saved import saved_words
from segdistill.study.verdict import verdict_on

SHOWN = 8
"""With more fields their table is folded."""


def study_section(
    study: Study,
    *,
    command: str,
    picture: str | None = None,
    screen: str | None = None,
    remarks: Sequence[str] = (),
    beside: Beside = ALONE,
) -> list[str]:
    """Return the paragraphs on a study.

    Args:
        study: One result or several.
        command: That makes it.
        picture: Path of the ladder's picture as the page names it; None for none.
        screen: Path of the picture of its report's first screen; None for none.
        remarks: Sentences before everything else.
        beside: Tests of the sections that are read beside this one.
    """
    parts = [*remarks, facts(study.results, command=command)]
    if picture is not None:
        parts.append(f"![Dice by arm, one dot per seed]({picture})")
    if screen is not None:
        parts.append(folded("The first screen of its report", f"![The first screen of its report]({screen})"))
    parts += ["**Reading.** " + reading(study), "**Account**", account_table(study), saved_line(study)]
    if study.left_out:
        parts.append(f"Left out of the account, because not every field has them: {listed(study.left_out)}.")
    for metric in study.metrics:
        parts += [f"**Differences of arms, {METRICS[metric]}**", comparison_table(study, metric, beside=beside)]
    for metric in study.metrics:
        parts += [f"**{METRICS[metric]} by seed (mean over fields)**", seed_table(study, metric)]
    parts += by_kind(study)
    for metric in study.metrics:
        title, text = f"{METRICS[metric]} by field, mean ± sd over seeds (each seed)", field_table(study, metric)
        parts += [folded(title, text)] if len(study.fields) > SHOWN else [f"**{title}**", text]
    return [*parts, *pooled_verdict(study, beside=beside), "**Verdict as kept**", verdicts(study.results)]


def saved_line(study: Study) -> str:
    """Return the labels that each arm with a teacher saved, or what they would take to be known."""
    saved = [f"{name} {saved_words(arm.saved)}" for name, arm in study.account.items() if arm.saved is not None]
    if not saved:
        return "Labels saved: not known; it takes baselines of two budgets of labels."
    return f"Labels saved, by equal Dice of the baselines, less all labels used: {'; '.join(saved)}."


def pooled_verdict(study: Study, *, beside: Beside = ALONE) -> list[str]:
    """Return the verdict on several results together, in the package's own words; nothing for a single one.

    Args:
        study: Several results that left out different fields: these are its units.
        beside: Tests of the sections that are read beside this one.
    """
    if len(study.results) < 2 or STUDENT not in study.account:
        return []
    found = verdict_on(study.account, simulated=False, beside=beside)
    return [
        f"**Verdict on {as_count(len(study.results), 'fold')} together** (units are the left-out fields; the folds"
        " share training fields, so their scores are not independent and the interval is rather too narrow)",
        f"> {' '.join(found.sentences)}",
    ]


def by_kind(study: Study) -> list[str]:
    """Return every arm's scores by the kind of the fields, such as their modality; nothing where none was kept."""
    kinds = {field: kind for result in study.results for field, kind in result.content.get("modality", {}).items()}
    if not kinds:
        return []
    rows = [
        [
            kind,
            METRICS[metric],
            str(sum(own == kind for own in kinds.values())),
            *_kind_cells(study, metric, kinds, kind),
        ]
        for kind in sorted(set(kinds.values()))
        for metric in study.metrics
    ]
    head = ["modality", "score", "fields", *study.account]
    return ["**By modality, mean ± sd over seeds**", table(head, rows)]


def _kind_cells(study: Study, metric: str, kinds: Mapping[str, str], kind: str) -> list[str]:
    tables = [arm.tables[metric] for arm in study.account.values()]
    chosen = [[place for place, field in enumerate(own.fields) if kinds[field] == kind] for own in tables]
    return [
        percent_spread(replace(own, fields=tuple(own.fields[place] for place in places), values=own.values[:, places]))
        for own, places in zip(tables, chosen, strict=True)
    ]


def facts(results: Sequence[Result], *, command: str) -> str:
    """Return how results were made, as a list."""
    first = results[0].settings
    protocol = first["protocol"]
    minutes = sum(sum(result.content["minutes"].values()) for result in results)
    trained = sum(len(result.content["minutes"]) for result in results)
    machines = {_machine(result) for result in results}
    versions = {result.content["segdistill"] for result in results}
    counts = {
        ", ".join(f"{len(names)} {part}" for part, names in result.content["split"].items()) for result in results
    }
    parameters = as_size(results[0].content["student"].get("parameters"))
    lines = [
        f"Command: `{command}`",
        f"Seeds: {_seeds_words(results)}",
        f"Time: {minutes:.0f} minutes of training, {trained} students{_whole_time(results)}",
        f"Machine: {listed(sorted(machines))}; segdistill {listed(sorted(versions))}",
        f"Teacher: `{first['teacher']}` on {', '.join(first['teacher_channels'])}; student: `{first['student']}` on"
        f" {', '.join(first['student_channels'])} ({parameters} parameters)",
        f"Images: {' or '.join(sorted(counts))}",
        f"Protocol, the same for all arms: {', '.join(f'{name} {value}' for name, value in protocol.items())}",
    ]
    return "\n".join(f"- {line}" for line in lines)


def account_table(study: Study) -> str:
    """Return one row per arm: labels, scores, recovery, gap closed, gain."""
    rows = []
    for name, arm in study.account.items():
        rows.append(
            [
                name,
                labels_words(study.labels[name]),
                *(percent_spread(arm.tables[metric]) for metric in study.metrics),
                spread_over_fields(arm.tables[MAIN]),
                ratio_words(arm.recovery),
                ratio_words(arm.gap),
                gain_words(arm.gain),
            ]
        )
    header = [
        "arm",
        "labels used",
        *(f"{METRICS[metric]} %, mean ± sd over seeds" for metric in study.metrics),
        "sd over fields (Dice)",
        "recovery (95 %)",
        "gap closed (95 %)",
        "gain over the baseline, points of Dice (95 %; fields better)",
    ]
    return table(header, rows)


def comparison_table(study: Study, metric: str, *, beside: Beside = ALONE) -> str:
    """Return one row per difference of two arms, and how many tests were corrected together; words without any.

    Args:
        study: What is compared.
        metric: By which score.
        beside: Tests of the sections that are read beside this one.
    """
    found = compared_of(study, metric, beside=beside)
    if not found:
        return "No two arms of this study can be compared."
    rows = [
        [
            f"{each.pair.first} − {each.pair.second}",
            words,
            points(each.comparison.gain.mean),
            between(each.comparison.gain.interval),
            f"{each.comparison.gain.better} of {each.comparison.gain.units}",
            as_p(None if each.comparison.test is None else each.comparison.test.p),
            as_p(each.holm),
            as_effect(None if each.comparison.effect is None else each.comparison.effect.value),
            as_percent(each.comparison.detectable),
            _claim(each),
        ]
        for words, each in found
    ]
    tests = found[0][1].tests
    head = ["difference", "what it speaks of", "points", "95 % interval", "fields better", "p", "p after Holm"]
    body = table([*head, "effect d_z", "could be seen from, points", "claim"], rows)
    return f"{body}\n\np after Holm: corrected for {as_count(tests, 'test')}." if tests else body


def seed_table(study: Study, metric: str) -> str:
    """Return one row per arm, one column per seed: means over fields, percent."""
    rows = []
    for name, arm in study.account.items():
        scores = arm.tables[metric]
        by_seed = dict(zip(scores.seeds, scores.values.mean(axis=1), strict=True))
        cells = [as_percent(float(by_seed[seed])) if seed in by_seed else "–" for seed in study.seeds]
        if name == TEACHER:
            cells = ["frozen"] * len(study.seeds)
        rows.append([name, *cells, percent_spread(scores)])
    return table(["arm", *(f"seed {seed}" for seed in study.seeds), "mean ± sd over seeds"], rows)


def field_table(study: Study, metric: str) -> str:
    """Return one row per field, one column per arm: mean ± sd over seeds, and each seed; then over fields."""
    tables = {name: arm.tables[metric] for name, arm in study.account.items()}
    rows = [
        [field, *(field_cell(scores, place) for scores in tables.values())] for place, field in enumerate(study.fields)
    ]
    last = ["mean ± sd over fields", *(_over_fields(scores) for scores in tables.values())]
    return table(["field", *tables], [*rows, last])


def field_cell(scores: ScoreTable, place: int) -> str:
    """Return one field's mean ± sd over seeds, and each seed's score where there are several."""
    values = scores.values[:, [place]]
    mean, sd = mean_sd(values)
    each = f" ({' / '.join(as_percent(float(value)) for value in values[:, 0])})" if len(values) > 1 else ""
    return as_spread(Spread(mean=mean, sd=sd)) + each


def verdicts(results: Sequence[Result]) -> str:
    """Return the sentences of every result, word for word."""
    return "\n".join(
        f"> {result.name}: {' '.join(result.content['verdict']['sentences'])}\n" for result in results
    ).strip()


def _over_fields(scores: ScoreTable) -> str:
    by_field = scores.values.mean(axis=0)
    sd = float(np.std(by_field, ddof=1)) if len(by_field) > 1 else None
    return as_spread(Spread(mean=float(by_field.mean()), sd=sd))


def _claim(found: Compared) -> str:
    gain = found.comparison.gain
    if gain.interval is None:
        return "none: one field"
    if not gain.clear:
        return "none: the interval holds zero"
    return "clear" if found.claimed else f"none: the interval is clear, p is {as_p(found.judged)}"


def _seeds_words(results: Sequence[Result]) -> str:
    every = {result.seeds for result in results}
    if len(every) == 1:
        return listed(every.pop())
    return "; ".join(f"{result.name}: {listed(result.seeds)}" for result in results)


def _machine(result: Result) -> str:
    machine = result.content["machine"]
    return f"{machine['processor']} ({machine['system']}; device {result.settings['device']})"


def _whole_time(results: Sequence[Result]) -> str:
    """Return the wall time of a single run that was not resumed; else nothing, as it would be of the last part only."""
    content = results[0].content
    if len(results) > 1 or content.get("resumed", True) or "seconds" not in content:
        return ""
    return f"; {content['seconds'] / 60:.1f} minutes from beginning to end"
