"""How many processes a launcher started, and which of them this is. Standard library only."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Layout:
    """How many processes a launcher started, and where this one stands."""

    launcher: Literal["torchrun", "srun"] | None = None
    """Who started them; None: nobody, there is one."""

    per_machine: int = 1
    machines: int = 1
    local_rank: int = 0
    rank: int = 0

    @property
    def world(self) -> int:
        """All processes."""
        return self.per_machine * self.machines


def layout(environment: Mapping[str, str]) -> Layout:
    """Return what a launcher left in the environment; one process where there was none.

    A batch script of SLURM, or a shell on one of its nodes, is one process, whatever number of tasks was asked
    for: only what `srun` starts is several.

    >>> layout({"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2", "LOCAL_RANK": "1", "RANK": "3"})
    Layout(launcher='torchrun', per_machine=2, machines=2, local_rank=1, rank=3)
    >>> step = {"SLURM_STEP_NUM_TASKS": "8", "SLURM_STEP_NUM_NODES": "2", "SLURM_LOCALID": "0", "SLURM_PROCID": "4"}
    >>> layout(step)
    Layout(launcher='srun', per_machine=4, machines=2, local_rank=0, rank=4)
    >>> layout({"SLURM_NTASKS": "8"})
    Layout(launcher=None, per_machine=1, machines=1, local_rank=0, rank=0)
    """
    if "TORCHELASTIC_RUN_ID" in environment:
        local = int(environment["LOCAL_WORLD_SIZE"])
        machines = int(environment["WORLD_SIZE"]) // local
        return Layout("torchrun", local, machines, int(environment["LOCAL_RANK"]), int(environment["RANK"]))
    tasks = int(environment.get("SLURM_STEP_NUM_TASKS", "1"))
    if tasks > 1:
        machines = int(environment.get("SLURM_STEP_NUM_NODES", "1"))
        return Layout(
            "srun", tasks // machines, machines, int(environment["SLURM_LOCALID"]), int(environment["SLURM_PROCID"])
        )
    return Layout()
