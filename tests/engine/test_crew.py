import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from segdistill.engine import check_at_once, side_by_side
from segdistill.errors import ConfigError, EnvironmentFault, MissingExtra, UnknownName

PIECES = """
import os, signal, sys, time
from pathlib import Path
import torch
from segdistill.engine import side_by_side
from segdistill.engine.signals import StopSignals
from segdistill.errors import SegdistillError, TrainingStopped, UnknownName

def work(folder, piece, notice):
    name, what = piece
    (folder / f"{name}.begun").write_text(f"{os.getpid()} {torch.get_num_threads()}")
    notice(f"{name} begins")
    while what in ("fails", "dies") and not (folder / "a.ready").exists():
        time.sleep(0.02)
    if what == "fails":
        raise UnknownName("student", "x", ["y"])
    if what == "breaks":
        raise ZeroDivisionError("by hand")
    if what == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "waits":
        with StopSignals() as signals:
            (folder / f"{name}.ready").write_text("x")
            while signals.received is None:
                time.sleep(0.02)
            (folder / f"{name}.kept").write_text(signals.received)
            raise TrainingStopped("kept")
    (folder / f"{name}.done").write_text("")

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever began the tests may have ignored it
    torch.set_num_threads(2)
    pieces = [tuple(word.split("=")) for word in sys.argv[3:]]
    try:
        folder, at_once = Path(sys.argv[1]), int(sys.argv[2])
        side_by_side(work, folder, pieces, at_once=at_once, notice=lambda text: print(text, flush=True))
    except SegdistillError as error:
        print(type(error).__name__, str(error), flush=True)
"""


@pytest.fixture
def begin(tmp_path):
    """Start a process that does pieces side by side."""
    script = tmp_path / "script.py"
    script.write_text(PIECES)
    begun = []

    def start(at_once, *pieces):
        words = [sys.executable, script, tmp_path, at_once, *pieces]
        process = subprocess.Popen([*map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        begun.append(process)
        return process

    yield start
    for process in begun:
        process.kill()
        process.communicate()


def said(process):
    out, errors = process.communicate(timeout=120)
    return out, errors


def wait_for(*paths, seconds=30):
    end = time.monotonic() + seconds
    while not all(path.exists() and path.read_text() for path in paths):
        assert time.monotonic() < end
        time.sleep(0.05)


def gone(identity):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            os.kill(identity, 0)
        except ProcessLookupError:
            return True
        if "State:\tZ" in Path(f"/proc/{identity}/status").read_text():
            return True
        time.sleep(0.05)
    return False


def test_every_piece_is_done_in_processes_that_part_the_threads(begin, tmp_path):
    out, errors = said(begin(2, "a=", "b=", "c=", "d=", "e="))
    assert errors == ""
    assert sorted(out.split("\n"))[1:] == [f"{name} begins" for name in "abcde"]
    assert {path.stem for path in tmp_path.glob("*.done")} == set("abcde")
    lines = [path.read_text().split() for path in tmp_path.glob("*.begun")]
    assert len({process for process, _ in lines}) == 2
    assert {threads for _, threads in lines} == {"1"}


def test_what_one_raises_is_raised_and_the_others_stop_as_if_asked_to(begin, tmp_path):
    out, _ = said(begin(2, "a=waits", "b=fails", "c="))
    assert "UnknownName There is no student called 'x'" in out
    assert (tmp_path / "a.kept").read_text() == "SIGTERM"
    assert not (tmp_path / "c.begun").exists()


def test_a_mistake_of_the_program_keeps_its_trace(begin):
    _, errors = said(begin(1, "a=breaks"))
    assert "In a process beside this one" in errors
    assert "ZeroDivisionError: by hand" in errors


def test_a_process_that_is_killed_is_missed_by_name(begin, tmp_path):
    out, _ = said(begin(2, "a=waits", "b=dies"))
    assert "EnvironmentFault A process that trained ended without a word (exit status -9)" in out
    assert (tmp_path / "a.kept").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_stop_all_stop_and_keep_what_they_have(begin, tmp_path, number):
    process = begin(2, "a=waits", "b=waits", "c=")
    wait_for(tmp_path / "a.ready", tmp_path / "b.ready")
    process.send_signal(number)
    out, errors = said(process)
    assert "TrainingStopped Asked to stop" in out
    assert errors == ""
    assert {path.stem for path in tmp_path.glob("*.kept")} == {"a", "b"}
    assert not (tmp_path / "c.begun").exists()


def test_nobody_works_on_once_the_first_process_was_killed(begin, tmp_path):
    process = begin(2, "a=waits", "b=waits")
    begun = tmp_path / "a.begun", tmp_path / "b.begun"
    wait_for(tmp_path / "a.ready", tmp_path / "b.ready")
    workers = [int(path.read_text().split()[0]) for path in begun]
    process.kill()
    wait_for(tmp_path / "a.kept", tmp_path / "b.kept")
    assert all(gone(worker) for worker in workers)


def test_errors_pickle_with_their_words():
    for error in (UnknownName("student", "a", ["b"]), MissingExtra("x", "y", "z"), EnvironmentFault("no room")):
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again), again.status) == (type(error), str(error), error.status)


def test_one_of_several_processes_does_not_divide_itself_again(monkeypatch):
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "2")
    monkeypatch.setenv("SLURM_LOCALID", "0")
    monkeypatch.setenv("SLURM_PROCID", "0")
    check_at_once(1)
    with pytest.raises(ConfigError, match="srun started 2 processes"):
        check_at_once(2)


def test_nothing_to_do_is_done_at_once():
    side_by_side(print, None, [], at_once=2, notice=print)
