"""What is counted while a student trains."""

import math
import os
import stat
import time

import pytest

from segdistill.study.metering import Board, Package, boards, metered, packages


def counter(root, name, kind, energy, greatest=1000):
    zone = root / name
    zone.mkdir(parents=True)
    (zone / "name").write_text(f"{kind}\n")
    (zone / "max_energy_range_uj").write_text(f"{greatest}\n")
    (zone / "energy_uj").write_text(f"{energy}\n")
    return zone


def test_processor_time_is_counted_everywhere_and_nothing_else_where_nothing_can_be_read(tmp_path):
    with metered("cpu", powercap=tmp_path / "none") as drawn:
        end = time.process_time() + 0.05
        while time.process_time() < end:
            math.sqrt(2)
    assert drawn.processor_seconds > 0.02  # the system counts in hundredths, for the program and for itself
    unread = {"package_joules": None, "gpu_joules": None}
    assert drawn.facts() == {"processor_seconds": drawn.processor_seconds, **unread, "beside": 0, "processes": 1}


def test_whole_processors_are_read_and_their_parts_are_not(tmp_path):
    first = counter(tmp_path, "intel-rapl:0", "package-0", 100)
    counter(tmp_path, "intel-rapl:0:0", "core", 90)
    counter(tmp_path, "intel-rapl:1", "psys", 900)
    second = counter(tmp_path, "intel-rapl:2", "package-1", 7)
    assert [each.folder for each in packages(tmp_path)] == [first, second]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="needs a file that this user may not read")
def test_counters_of_the_administrator_are_left_alone(tmp_path):
    (counter(tmp_path, "intel-rapl:0", "package-0", 100) / "energy_uj").chmod(0)
    assert packages(tmp_path) == []


def test_a_counter_that_begins_again_goes_on(tmp_path):
    zone = counter(tmp_path, "intel-rapl:0", "package-0", 900)
    package = Package(zone)
    assert package.joules() == 0
    (zone / "energy_uj").write_text("950")
    assert package.joules() == pytest.approx(50e-6)
    (zone / "energy_uj").write_text("30")  # 50 up to its greatest, 1000, and 30 more
    assert package.joules() == pytest.approx(80e-6)


def test_counters_are_summed_from_beginning_to_end(tmp_path):
    zones = [counter(tmp_path, f"intel-rapl:{n}", f"package-{n}", 0, greatest=10**9) for n in (0, 1)]
    with metered("cpu", powercap=tmp_path, every=0.01) as drawn:
        for zone, energy in zip(zones, (2_000_000, 3_000_000), strict=True):
            (zone / "next").write_text(str(energy))
            (zone / "next").replace(zone / "energy_uj")  # a reader finds the old number or the new one, never none
    assert drawn.package_joules == pytest.approx(5.0)


def test_a_counter_that_fails_on_the_way_leaves_no_number(tmp_path):
    zone = counter(tmp_path, "intel-rapl:0", "package-0", 5)
    with metered("cpu", powercap=tmp_path, every=0.01) as drawn:
        (zone / "energy_uj").unlink()
    assert drawn.package_joules is None


def test_an_error_within_is_not_hidden(tmp_path):
    counter(tmp_path, "intel-rapl:0", "package-0", 5)
    with pytest.raises(KeyError, match="mine"), metered("cpu", powercap=tmp_path):
        raise KeyError("mine")


def program(folder, monkeypatch, text):
    """Put a program called nvidia-smi on the path."""
    path = folder / "nvidia-smi"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.skipif(os.name != "posix", reason="the stand-in is a shell script")
def test_the_power_of_a_board_times_the_seconds_between(tmp_path, monkeypatch):
    program(tmp_path, monkeypatch, '[ "$1" = --id=GPU-7 ] && [ "$2" = --query-gpu=power.draw ] && echo " 250.50"')
    times = iter([10.0, 14.0])
    board = Board("GPU-7", watch=lambda: next(times))
    assert board.joules() == 0
    assert board.joules() == pytest.approx(250.5 * 4)
    assert Board("GPU-8").joules() is None  # the program fails


@pytest.mark.skipif(os.name != "posix", reason="the stand-in is a shell script")
@pytest.mark.parametrize("text", ["echo '[N/A]'", "exit 9", "echo"])
def test_a_board_that_does_not_tell_its_power_is_no_error(tmp_path, monkeypatch, text):
    program(tmp_path, monkeypatch, text)
    assert Board("GPU-7").joules() is None


def test_on_a_processor_no_board_is_asked(tmp_path, monkeypatch):
    if os.name == "posix":
        program(tmp_path, monkeypatch, "echo 250")
    assert boards("cpu") == []
    assert Board("GPU-7", watch=lambda: 0.0).last is None


def test_without_the_program_there_is_no_board(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert boards("cuda:0") == []
    assert Board("GPU-7").joules() is None


def test_beside_others_no_counter_of_the_machine_is_read(tmp_path):
    counter(tmp_path, "intel-rapl:0", "package-0", 5)
    with metered("cpu", beside=1, powercap=tmp_path, every=0.01) as drawn:
        pass
    assert (drawn.package_joules, drawn.beside) == (None, 1)
