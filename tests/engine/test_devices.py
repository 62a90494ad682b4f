import warnings

import pytest
import torch
from engine_toy import plan

from segdistill.engine import select_device
from segdistill.engine.launch import join, launch
from segdistill.engine.ranks import Layout, layout
from segdistill.errors import ConfigError, EnvironmentFault


def without_mps(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", "13.0")


def broken_driver():
    warnings.warn("CUDA initialization: the driver is too old.\nUpdate it.", UserWarning, stacklevel=1)
    return False


def broken_kernel(*args, **kwargs):
    raise RuntimeError("CUDA error: no kernel image is available\nCompile with TORCH_USE_CUDA_DSA")


def computes(*shape, device):
    return torch.zeros(*shape)  # on the CPU, for there may be no other


@pytest.mark.parametrize("name", ["auto", "cuda"])
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"is_available": lambda: False}, "none was found"),
        ({"is_available": broken_driver}, "CUDA initialization: the driver is too old"),
        ({"is_available": lambda: True, "ones": broken_kernel}, "CUDA error: no kernel image is available"),
        ({"version": None}, "this PyTorch was built without CUDA"),
    ],
)
def test_a_gpu_that_does_not_compute(monkeypatch, notices, name, fault, reason):
    without_mps(monkeypatch)
    if "is_available" in fault:
        monkeypatch.setattr(torch.cuda, "is_available", fault["is_available"])
    if "ones" in fault:
        monkeypatch.setattr(torch, "ones", fault["ones"])
    if "version" in fault:
        monkeypatch.setattr(torch.version, "cuda", None)
    if name == "auto":
        assert select_device("auto", notice=notices.append) == torch.device("cpu")
        assert notices == [f"No GPU can be used ({reason}): computing on the CPU."]
    else:
        with pytest.raises(EnvironmentFault, match=reason):
            select_device("cuda", notice=notices.append)
        assert notices == []


def test_a_gpu_that_computes_is_taken_without_a_word(monkeypatch, notices):
    without_mps(monkeypatch)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "ones", computes)
    assert select_device("auto", notice=notices.append, index=1) == torch.device("cuda", 1)
    assert notices == []


def test_apple(monkeypatch, notices):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert select_device("auto", notice=notices.append) == torch.device("mps")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(EnvironmentFault, match="Apple"):
        select_device("mps", notice=notices.append)


def test_half_precision_is_refused_on_the_cpu(notices):
    with pytest.raises(ConfigError, match="precision is '16-mixed', but the device is the CPU"):
        launch(plan(precision="16-mixed"), notice=notices.append)


@pytest.mark.parametrize(("capability", "told"), [("AVX2", True), ("AVX512", False), ("DEFAULT", False)])
def test_bfloat16_that_a_processor_emulates_is_told(monkeypatch, notices, capability, told):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    launch(plan(device="cpu", precision="bf16-mixed"), notice=notices.append)
    assert any("emulates" in notice and "'32-true'" in notice for notice in notices) == told
    notices.clear()
    launch(plan(device="cpu"), notice=notices.append)
    assert notices == []


def test_apple_computes_in_float32_only(monkeypatch, notices):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    with pytest.raises(ConfigError, match=r"'bf16-mixed'.*'32-true' only"):
        launch(plan(device="mps", precision="bf16-mixed"), notice=notices.append)


def test_a_number_of_processes_that_nobody_started_is_refused(notices):
    with pytest.raises(ConfigError, match="torchrun --nproc-per-node 2"):
        launch(plan(devices=2), notice=notices.append)


def test_a_batch_smaller_than_the_processes_is_refused(monkeypatch, notices):
    for name, value in {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LOCAL_RANK", "0")
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(ConfigError, match="batch_size is 6, but 8 processes"):
        launch(plan(), notice=notices.append)


def test_of_slurm_only_what_srun_started_is_several():
    batch = {"SLURM_NTASKS": "4", "SLURM_NTASKS_PER_NODE": "4", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}
    assert layout(batch) == Layout()
    step = {**batch, "SLURM_STEP_NUM_TASKS": "4", "SLURM_STEP_NUM_NODES": "2", "SLURM_PROCID": "3"}
    assert layout(step) == Layout("srun", per_machine=2, machines=2, local_rank=0, rank=3)
    assert layout({**step, "SLURM_STEP_NUM_TASKS": "1", "SLURM_STEP_NUM_NODES": "1"}) == Layout()  # srun -n 1


def test_tasks_of_which_nobody_says_where_they_are_are_refused(monkeypatch):
    step = {"SLURM_STEP_NUM_TASKS": "4", "SLURM_STEP_NUM_NODES": "2", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}
    for name, value in step.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match="--nodes=2 --ntasks-per-node=2 instead"):
        join()


def test_one_process_on_the_cpu(notices):
    fabric = launch(plan(devices=1), notice=notices.append)
    assert (fabric.world_size, fabric.device) == (1, torch.device("cpu"))
    assert notices == []
