"""What to do about a step whose loss or gradient is not finite."""

from segdistill.engine.checkpoint import NEWEST
from segdistill.engine.record import keep
from segdistill.engine.run import Run
from segdistill.engine.step import Result, Verdict
from segdistill.errors import TrainingStopped


def judge(run: Run, result: Result) -> None:
    """Count bad steps in a row; at the last one allowed, keep the weights of before the first and stop.

    A bad step changed nothing, so those weights are the present ones. The checkpoint says the step they
    were good at: the same command tries the bad steps once more.

    Raises:
        TrainingStopped: It was the last one allowed.
    """
    state, plan = run.state, run.plan
    if result.verdict is not Verdict.BAD:
        state.bad = 0
        return
    state.bad += 1
    values = ", ".join(f"{name} {value:.4g}" for name, value in result.terms.items())
    what = f"step {state.step}/{plan.steps}: the loss ({result.loss:.4g}; {values}) or its gradient is not finite"
    if state.bad < plan.stop_after_bad:
        run.notice(f"{what}; no weight was changed ({state.bad} in a row; the run stops at {plan.stop_after_bad}).")
        return
    state.step, state.bad = state.step - state.bad, 0
    keep(run)
    raise TrainingStopped(
        f"{what}, and this was bad step {plan.stop_after_bad} in a row. {run.folder / NEWEST} holds the last good"
        f" weights, those after step {state.step}. Look at the files of this step: {_listed(result.suspects)}."
        f" If nothing is wrong with them, choose a learning rate below {plan.learning_rate:g}, and another folder."
    )


def _listed(names: list[str], *, most: int = 20) -> str:
    """Return different names, separated by commas; of very many the first, and how many more there are."""
    different = list(dict.fromkeys(names))
    more = f" and {len(different) - most} more" if len(different) > most else ""
    return ", ".join(different[:most]) + more
