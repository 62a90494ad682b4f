"""Whether other numbers of steps change what `livecell_phase` says: the same arms on the same fields and seeds."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from results_page.stored import METRICS, Result
from results_page.words import listed, points, table
from segdistill.evaluation import mean_sd
from segdistill.report import Spread
from segdistill.report.wording import NONE, as_count, as_spread

COMMAND = "python experiments/livecell.py --data DATA --runs RUNS --steps"

_OTHER = re.compile(r"(?P<ladder>livecell_steps_\d+(_bf16)?)/(?P<student>.+)_fold(?P<fold>\d+)")


@dataclass(frozen=True, eq=False)
class Pair:
    """A left-out field, run with the experiment's own number of steps and with another."""

    usual: Result
    other: Result

    @property
    def seeds(self) -> set[int]:
        """Those that both have."""
        return {*self.usual.seeds} & {*self.other.seeds}


def longer_runs(results: Mapping[str, Result]) -> dict[str, Result]:
    """Return the results with other numbers of steps than the experiment's own, by name."""
    return {name: result for name, result in results.items() if _OTHER.fullmatch(name)}


def convergence_section(results: Mapping[str, Result]) -> list[str]:
    """Return how every arm does with the usual number of steps and with others, on the same fields and seeds."""
    parts = ["### Do the arms converge?"]
    ladders = _ladders(results)
    if not ladders:
        return [*parts, f"Not run yet. Command: `{COMMAND} 800 --bf16`."]
    for pairs in ladders.values():
        parts += _both(pairs)
    return parts


def _ladders(results: Mapping[str, Result]) -> dict[tuple[str, str], list[Pair]]:
    """Return the fields of every ladder and student that were run with the usual number of steps too."""
    ladders: dict[tuple[str, str], list[Pair]] = {}
    for name, other in sorted(longer_runs(results).items()):
        match = _OTHER.fullmatch(name)
        usual = results.get(f"livecell_phase/{match['student']}_fold{match['fold']}") if match else None
        if match and usual is not None and (pair := Pair(usual, other)).seeds:
            ladders.setdefault((match["ladder"], match["student"]), []).append(pair)
    return ladders


def _both(pairs: Sequence[Pair]) -> list[str]:
    seeds = tuple(sorted(set.intersection(*(pair.seeds for pair in pairs))))
    if not seeds:
        return []
    usual, other = pairs[0].usual, pairs[0].other
    arms = [arm for arm in usual.content["scores"] if all(arm in pair.other.content["scores"] for pair in pairs)]
    steps = [_steps(each) for each in (usual, other)]
    header = ["arm", *(f"{words}, {count}" for words in METRICS.values() for count in steps)]
    header += [f"difference, {words}" for words in METRICS.values()] + [f"best of {steps[1]}"]
    rows = [[arm, *_scores(pairs, arm, seeds), _best(pairs, arm, seeds)] for arm in arms]
    protocol = other.settings["protocol"]
    command = f"{COMMAND} {protocol['steps']}" + (" --bf16" if protocol["precision"] == "bf16-mixed" else "")
    fields = [name for pair in pairs for name in pair.other.table("student", "dice").fields]
    return [
        f"{usual.settings['student']}, {as_count(len(fields), 'field')} left out in turn ({listed(fields)}), seeds"
        f" {listed(seeds)}: the same arms with {steps[0]} and with {steps[1]}, percent, mean over fields ± sd over"
        " seeds. The weights that are kept are the best on the validation field, whenever they came. Teachers were"
        f" fitted anew. Command: `{command}`.",
        table(header, rows),
        *_gains(pairs, seeds, steps),
    ]


def _steps(result: Result) -> str:
    protocol = result.settings["protocol"]
    return f"{protocol['steps']} steps" + (" in bfloat16" if protocol["precision"] == "bf16-mixed" else "")


def _gains(pairs: Sequence[Pair], seeds: tuple[int, ...], steps: Sequence[str]) -> list[str]:
    """Return what the student gains over its baseline with either number of steps."""
    gains = []
    for side in ("usual", "other"):
        means = [_means(pairs, side, arm, "dice", seeds).mean() for arm in ("student", "baseline")]
        gains.append(f"{points(float(means[0] - means[1]))} with {steps[len(gains)]}")
    return [f"Student minus baseline, points of Dice: {', '.join(gains)}."]


def _scores(pairs: Sequence[Pair], arm: str, seeds: tuple[int, ...]) -> list[str]:
    cells, differences = [], []
    for metric in METRICS:
        both = [_means(pairs, side, arm, metric, seeds) for side in ("usual", "other")]
        cells += [as_spread(Spread(mean=mean, sd=sd)) for mean, sd in map(mean_sd, both)]
        differences.append(points(float(both[1].mean() - both[0].mean())))
    return [*cells, *differences]


def _means(pairs: Sequence[Pair], side: str, arm: str, metric: str, seeds: tuple[int, ...]) -> np.ndarray:
    """Return an arm's scores by seed and field; a frozen teacher has one row."""
    return np.concatenate([_of_seeds(getattr(pair, side), arm, metric, seeds) for pair in pairs], axis=1)


def _of_seeds(result: Result, arm: str, metric: str, seeds: tuple[int, ...]) -> np.ndarray:
    kept = result.table(arm, metric)
    rows = [kept.seeds.index(seed) for seed in seeds if seed in kept.seeds]
    return kept.values[rows] if len(rows) == len(seeds) and len(kept.seeds) > 1 else kept.values[:1]


def _best(pairs: Sequence[Pair], arm: str, seeds: tuple[int, ...]) -> str:
    """Return at which steps the best weights came: the median, and the least and the most."""
    kept = [pair.other.content.get("best steps", {}) for pair in pairs]
    found = [own[f"{arm}/{seed}"] for own in kept for seed in seeds if f"{arm}/{seed}" in own]
    if not found:
        return NONE
    least, most = min(found), max(found)
    return f"{least}" if least == most else f"{round(float(np.median(found)))} ({least} to {most})"
