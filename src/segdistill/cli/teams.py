"""The workers that a command asks for."""

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from segdistill.cli.app import say
from segdistill.settings import Workers

if TYPE_CHECKING:
    from segdistill.distribution import Team


def asked_for(config: Workers) -> "AbstractContextManager[Team | None]":
    """Return the team, for a ``with``; None in place of a team: this process works alone."""
    if config.alone:
        return nullcontext()
    from segdistill.distribution import team_of

    return team_of(config.workers, config.scheduler, notice=say)
