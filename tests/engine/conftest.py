import multiprocessing
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import settings

settings.register_profile("busy", deadline=None)  # a busy machine is no failure
settings.load_profile("busy")

HERE = str(Path(__file__).parent)
sys.path.insert(0, HERE)  # for engine_toy and engine_child, which child processes import too


@pytest.fixture(autouse=True)
def one_thread():
    """Bits are equal for equal numbers of threads; and for 100 weights one is fastest."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def notices():
    return []


@pytest.fixture(scope="session")
def children():
    """Start processes from one that has imported torch already: dozens of them cost what one would."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", HERE)
        patch.setenv("OMP_NUM_THREADS", "1")
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["engine_child"])
        yield context
