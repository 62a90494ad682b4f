"""Joining the processes that torchrun or SLURM started, on the device and in the precision that were asked for."""

import atexit
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from lightning.fabric import Fabric
from lightning.fabric.strategies.ddp import DDPStrategy
from torch import distributed

from segdistill.engine.devices import emulates_bfloat16, select_device
from segdistill.engine.notice import unheard
from segdistill.engine.plan import Plan
from segdistill.errors import ConfigError

# The others wait while the first process validates; the launcher, not this, notices a process that died.
_PATIENCE = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class Layout:
    """How many processes a launcher started, and where this one stands."""

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

    >>> layout({"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2", "LOCAL_RANK": "1", "RANK": "3"})
    Layout(per_machine=2, machines=2, local_rank=1, rank=3)
    >>> layout({"SLURM_NTASKS": "8", "SLURM_NNODES": "2", "SLURM_LOCALID": "0", "SLURM_PROCID": "4"})
    Layout(per_machine=4, machines=2, local_rank=0, rank=4)
    >>> layout({})
    Layout(per_machine=1, machines=1, local_rank=0, rank=0)
    """
    if "TORCHELASTIC_RUN_ID" in environment:
        local = int(environment["LOCAL_WORLD_SIZE"])
        machines = int(environment["WORLD_SIZE"]) // local
        return Layout(local, machines, int(environment["LOCAL_RANK"]), int(environment["RANK"]))
    by_hand = environment.get("SLURM_JOB_NAME") in {"bash", "interactive"}  # a shell on a node: no srun
    if "SLURM_NTASKS" in environment and not by_hand:
        machines = int(environment.get("SLURM_NNODES", "1"))
        per_machine = int(environment["SLURM_NTASKS"]) // machines
        return Layout(
            per_machine, machines, int(environment.get("SLURM_LOCALID", "0")), int(environment.get("SLURM_PROCID", "0"))
        )
    return Layout()


def launch(plan: Plan, *, notice: Callable[[str], None]) -> Fabric:
    """Return Fabric, joined with the other processes.

    Args:
        plan: Its device, devices, precision and batch size are used.
        notice: Told where "auto" fell back to, and of a precision that is slow here; in the first process only.

    Raises:
        ConfigError: The precision does not exist on this device, or the launcher started another number of
            processes than the plan wants, or more than there are samples in a step.
        EnvironmentFault: The device that was asked for does not work.
    """
    here = layout(os.environ)
    _check_processes(plan, here)
    device = select_device(plan.device, notice=notice if here.rank == 0 else unheard, index=here.local_rank)
    _check_precision(plan, device.type)
    if here.rank == 0 and plan.precision == "bf16-mixed" and device.type == "cpu" and emulates_bfloat16():
        notice(
            "precision is 'bf16-mixed', but this processor has no instructions for bfloat16 and emulates them: a step"
            " can take twenty times as long as with '32-true'. Stop, and start anew with precision '32-true'."
        )
    fabric = Fabric(
        accelerator=device.type,
        devices=here.per_machine,
        num_nodes=here.machines,
        strategy=DDPStrategy(timeout=_PATIENCE) if here.world > 1 else "auto",
        precision=plan.precision,
    )
    fabric.launch()
    if here.world > 1:
        atexit.unregister(_leave)  # a process may train several times; it leaves once
        atexit.register(_leave)
    return fabric


def _leave() -> None:
    """Part from the other processes before the interpreter ends.

    Gloo's threads, left to the end, now and then abort a process that had succeeded; Fabric sees to
    NCCL's only.
    """
    if distributed.is_initialized():
        distributed.destroy_process_group()


def _check_processes(plan: Plan, here: Layout) -> None:
    if plan.devices is not None and plan.devices != here.per_machine:
        raise ConfigError(
            f"devices is {plan.devices}, but {here.per_machine} process(es) per machine were started."
            f" Start the same command with `torchrun --nproc-per-node {plan.devices} -m segdistill ...`,"
            f" or set devices to {here.per_machine}."
        )
    if plan.batch_size < here.world:
        raise ConfigError(
            f"batch_size is {plan.batch_size}, but {here.world} processes share each batch."
            f" Choose at least {here.world}, or start fewer processes."
        )


def _check_precision(plan: Plan, device: str) -> None:
    if plan.precision == "16-mixed" and device == "cpu":
        raise ConfigError(
            "precision is '16-mixed', but the device is the CPU, which trains in float32 or bfloat16 only"
            " (Fabric would silently take bfloat16). Choose precision '32-true' or 'bf16-mixed', or a GPU."
        )
    if plan.precision != "32-true" and device == "mps":
        raise ConfigError(f"precision is {plan.precision!r}, but Apple's GPU is used in '32-true' only. Choose that.")
