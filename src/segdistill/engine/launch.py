"""Joining the processes that torchrun or SLURM started, on the device and in the precision that were asked for."""

import atexit
import os
from collections.abc import Callable
from datetime import timedelta

import torch
from lightning.fabric import Fabric
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.fabric.strategies.ddp import DDPStrategy
from torch import distributed

from segdistill.engine.devices import emulates_bfloat16, select_device
from segdistill.engine.notice import unheard
from segdistill.engine.plan import Plan
from segdistill.engine.ranks import Layout, layout
from segdistill.errors import ConfigError

# The others wait while the first process validates; the launcher, not this, notices a process that died.
PATIENCE = timedelta(hours=6)


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
    refuse_precision(plan.precision, device.type)
    if here.rank == 0 and plan.precision == "bf16-mixed" and device.type == "cpu" and emulates_bfloat16():
        notice(
            "precision is 'bf16-mixed', but this processor has no instructions for bfloat16 and emulates them: a step"
            " can take twenty times as long as with '32-true'. Stop, and start anew with precision '32-true'."
        )
    fabric = Fabric(
        accelerator=device.type,
        devices=here.per_machine,
        num_nodes=here.machines,
        strategy=DDPStrategy(timeout=PATIENCE) if here.world > 1 else "auto",
        precision=plan.precision,
        plugins=_environment(here),
    )
    fabric.launch()
    _leave_at_exit(here)
    return fabric


def join() -> Layout:
    """Join the processes of this launcher before any training; return how many they are and which this is.

    What is then trained, on whatever device, uses the connection that is made here.

    Raises:
        ConfigError: `srun` started them in a way that does not say how many there are on each machine.
    """
    here = layout(os.environ)
    if here.world > 1 and not distributed.is_initialized():
        both = torch.cuda.is_available() and distributed.is_nccl_available()
        Fabric(
            accelerator="cpu",
            devices=here.per_machine,
            num_nodes=here.machines,
            strategy=DDPStrategy(process_group_backend="cpu:gloo,cuda:nccl" if both else "gloo", timeout=PATIENCE),
            plugins=_environment(here),
        ).launch()
        _leave_at_exit(here)
    return here


def _environment(here: Layout) -> ClusterEnvironment:
    """Return what tells Fabric of the processes: named, or it would take a batch script of SLURM for several."""
    if here.launcher == "torchrun":
        return TorchElasticEnvironment()
    if here.launcher is None:
        return LightningEnvironment()
    if "SLURM_NTASKS_PER_NODE" not in os.environ:
        raise ConfigError(
            f"srun started {here.world} tasks by --ntasks, which does not say how many of them share a machine."
            f" Ask for --nodes={here.machines} --ntasks-per-node={here.per_machine} instead."
        )
    return SLURMEnvironment()


def _leave_at_exit(here: Layout) -> None:
    if here.world > 1:
        atexit.unregister(_leave)  # a process may train several times; it leaves once
        atexit.register(_leave)


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


def refuse_precision(precision: str, device: str) -> None:
    """Refuse a number format in which a kind of device does not train.

    Args:
        precision: As a plan names it.
        device: "cpu", "cuda" or "mps".

    Raises:
        ConfigError: Another is to be chosen; which, is said.
    """
    if precision == "16-mixed" and device == "cpu":
        raise ConfigError(
            "precision is '16-mixed', but the device is the CPU, which trains in float32 or bfloat16 only"
            " (Fabric would silently take bfloat16). Choose precision '32-true' or 'bf16-mixed', or a GPU."
        )
    if precision != "32-true" and device == "mps":
        raise ConfigError(f"precision is {precision!r}, but Apple's GPU is used in '32-true' only. Choose that.")
