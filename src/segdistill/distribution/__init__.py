"""Work on several processes and machines, handed out by Dask. Nothing here knows what the work is."""

from typing import TYPE_CHECKING

from segdistill.plugins import lazy_exports

if TYPE_CHECKING:
    from segdistill.distribution.team import Team, team_of

__all__ = ["Team", "team_of"]

_WHERE = {"Team": "team", "team_of": "team"}
__getattr__ = lazy_exports(__name__, _WHERE)
