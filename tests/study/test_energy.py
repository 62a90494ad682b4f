"""What training drew, in numbers and words."""

from pathlib import Path

import pytest

from segdistill.settings import Arm
from segdistill.study.account import Labels
from segdistill.study.arms import ArmRun
from segdistill.study.energy import cost_facts, energy_of


def run(energy=None, *, seconds=90.0):
    facts = {"seconds": seconds, **({} if energy is None else {"energy": energy})}
    return ArmRun(Arm(name="student", role="baseline"), 0, Path("nowhere"), [], Labels(1, 1, 0), facts)


def drawn(processor=720.0, package=None, gpu=None, *, on_gpu=False):
    return {"processor_seconds": processor, "package_joules": package, "gpu_joules": gpu, "on_gpu": on_gpu}


def words(runs, folder):
    return dict(cost_facts(runs, folder, folder / "model").values)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_bytes(b"x" * 1500)
    (tmp_path / "log").write_bytes(b"x" * 500)
    return tmp_path


def test_processor_time_gives_an_estimate_with_its_assumption(folder):
    # 720 s × 3 W = 2160 J = 0.6 Wh; × 15 W = 3 Wh; two runs: 1.2 to 6.
    found = energy_of([run(drawn()), run(drawn())])
    assert found is not None
    assert (found.low, found.high) == (pytest.approx(1.2), pytest.approx(6.0))
    told = words([run(drawn()), run(drawn())], folder)
    assert told["training"] == "3 min 0 s in 2 runs"
    assert told["energy, estimate"] == "1.2 to 6 Wh"
    assert told["rests on"].startswith(
        "24 min 0 s of processor time, all cores together, × 3 to 15 W assumed for a busy core"
    )
    assert "Not in it: memory" in told["rests on"]
    assert told["on the disk"] == "2.0 kB in all, 1.5 kB the student"


def test_what_was_measured_is_called_measured_and_takes_the_place_of_the_estimate(folder):
    found = energy_of([run(drawn(package=3600.0)), run(drawn(package=1800.0))])
    assert found is not None
    assert found.low == found.high == pytest.approx(1.5)  # (3600 + 1800) J / 3600
    told = words([run(drawn(package=3600.0))], folder)
    assert told["energy, measured"] == "1 Wh"
    assert "counters (RAPL), which count whatever else the machine did" in told["rests on"]
    assert "assumed" not in told["rests on"]


def test_a_gpu_is_counted_where_it_tells_and_said_to_be_missing_where_not(folder):
    # 3 and 15 W × 720 s = 0.6 and 3 Wh, and 7200 J = 2 Wh of the GPU.
    told = words([run(drawn(gpu=7200.0, on_gpu=True))], folder)
    assert told["energy, estimate"] == "2.6 to 5 Wh"
    assert "nvidia-smi" in told["rests on"]
    silent = words([run(drawn(package=3600.0, on_gpu=True))], folder)
    assert silent["energy, estimate"] == "1 Wh, the GPU not in it"
    assert "Not in it: the GPU in 1 run, whose power nobody told" in silent["rests on"]


def test_older_runs_are_not_guessed(folder):
    assert energy_of([run()]) is None
    told = words([run()], folder)
    assert told["energy, estimate"].startswith("not known")
    assert "rests on" not in told
    assert "1 run from before processor time was kept" in words([run(), run(drawn())], folder)["rests on"]


def test_processes_that_were_not_metered_make_it_an_estimate(folder):
    together = {**drawn(package=3600.0), "processes": 4}
    told = words([run(together), run(drawn(package=3600.0))], folder)
    assert told["energy, estimate"] == "2 Wh"
    assert "Not in it: what trained beside the first process (3 more); memory" in told["rests on"]
