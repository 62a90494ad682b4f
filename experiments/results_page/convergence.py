"""Whether more steps would have changed the order of the arms, on a field of `livecell_phase`."""

import re
from collections.abc import Mapping

import numpy as np

from results_page.stored import METRICS, Result
from results_page.words import listed, table
from segdistill.evaluation import mean_sd
from segdistill.report import Spread
from segdistill.report.wording import NONE, as_spread

COMMAND = "python experiments/livecell.py --data DATA --runs RUNS --folds 1 --steps 800"

_LONGER = re.compile(r"livecell_steps_(?P<steps>\d+)/(?P<student>.+)_fold(?P<fold>\d+)")


def longer_runs(results: Mapping[str, Result]) -> dict[str, Result]:
    """Return the results with other numbers of steps than the experiment's own, by name."""
    return {name: result for name, result in results.items() if _LONGER.fullmatch(name)}


def convergence_section(results: Mapping[str, Result]) -> list[str]:
    """Return how every arm does with the usual number of steps and with others, on the same fields and seeds."""
    parts = ["### Do the arms converge?"]
    found = longer_runs(results)
    if not found:
        return [*parts, f"Not run yet. Command: `{COMMAND}`."]
    for name, longer in found.items():
        match = _LONGER.fullmatch(name)
        usual = results.get(f"livecell_phase/{match['student']}_fold{match['fold']}") if match else None
        if usual is not None:
            parts += _both(usual, longer)
    return parts


def _both(usual: Result, longer: Result) -> list[str]:
    seeds = tuple(seed for seed in longer.seeds if seed in usual.seeds)
    arms = [arm for arm in usual.content["scores"] if arm in longer.content["scores"]]
    steps = [str(each.settings["protocol"]["steps"]) for each in (usual, longer)]
    header = ["arm", *(f"{words}, {count} steps" for words in METRICS.values() for count in steps)]
    header += [f"difference, {words}" for words in METRICS.values()] + [f"best step of {steps[1]}, by seed"]
    rows = [[arm, *_scores(usual, longer, arm, seeds), _best(longer, arm, seeds)] for arm in arms]
    return [
        f"{usual.settings['student']}, the field {listed(usual.table('student', 'dice').fields)} left out, seeds"
        f" {listed(seeds)}: the same arms with {steps[0]} and with {steps[1]} steps, percent, mean ± sd over seeds. The"
        " weights that are kept are the best on the validation field, whenever they came. Teachers were fitted anew."
        f" Command: `{COMMAND}`.",
        table(header, rows),
    ]


def _scores(usual: Result, longer: Result, arm: str, seeds: tuple[int, ...]) -> list[str]:
    cells, differences = [], []
    for metric in METRICS:
        pair = [_of_seeds(each, arm, metric, seeds) for each in (usual, longer)]
        cells += [as_spread(Spread(mean=mean, sd=sd)) for mean, sd in map(mean_sd, pair)]
        differences.append(f"{100 * (pair[1].mean() - pair[0].mean()):+.1f}".replace("-", "−"))
    return [*cells, *differences]


def _of_seeds(result: Result, arm: str, metric: str, seeds: tuple[int, ...]) -> np.ndarray:
    """Return an arm's scores by seed and field; a frozen teacher has one row."""
    kept = result.table(arm, metric)
    rows = [place for place, seed in enumerate(kept.seeds) if seed in seeds]
    return kept.values[rows] if rows and len(kept.seeds) > 1 else kept.values


def _best(result: Result, arm: str, seeds: tuple[int, ...]) -> str:
    steps = result.content.get("best steps", {})
    found = [str(steps[f"{arm}/{seed}"]) for seed in seeds if f"{arm}/{seed}" in steps]
    return ", ".join(found) or NONE
