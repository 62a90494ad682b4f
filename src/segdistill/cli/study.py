"""`segdistill study`."""

from pathlib import Path

from segdistill.cli.app import say
from segdistill.settings import Study, read_toml, validated


def study(
    plan: Path,
    *,
    out: Path | None = None,
    shard: str | None = None,
    device: str | None = None,
    by: str | None = None,
) -> int:
    """Run what is missing of a study: arms by students by label budgets by seeds.

    The same command goes on where an interrupted one stopped. Arms, students, teachers, budgets and
    seeds may be added to the plan later: only what is missing is run. Several processes or machines
    may share one folder, each with its own --shard; the account is written by whoever finds nothing
    missing. The exit status is 1 while something is.

    Args:
        plan: A TOML file of the study; the folder examples/ has some.
        out: Folder of the study, instead of the plan's.
        shard: Which part of the runs to do, as k/n, such as 1/4 for the first of four processes.
        device: cpu, cuda, mps, or auto for the best there is.
        by: Column of the manifest by whose values scores are told, too, such as modality for a column #modality.
    """
    from segdistill import study as floor

    given = {"out": out, "shard": shard, "device": device, "by": by}
    settings = validated(Study, {**read_toml(plan), **{name: value for name, value in given.items() if value}})
    state = floor.study(settings, notice=say)
    if state.missing:
        every = len(state.missing) + len(state.runs)
        say(f"{len(state.missing)} of {every} runs are missing: run the other shards, or call again.")
        return 1
    print(floor.study_headline(floor.conclude_study(settings, state)))
    return 0
