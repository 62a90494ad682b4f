"""The small parts: memory, prefetching, signals, lock, log, meter, display, micro-batches."""

import errno
import fcntl
import io
import json
import os
import signal
import threading
import time

import pytest
import torch
from rich.console import Console

from segdistill.engine import held, log, read_log
from segdistill.engine import progress as progress_module
from segdistill.engine.memory import Memory, is_out_of_memory
from segdistill.engine.meter import Meter, Pace
from segdistill.engine.microbatches import Buffers, MicroBatches
from segdistill.engine.prefetch import Prefetch
from segdistill.engine.progress import shown
from segdistill.engine.signals import StopSignals
from segdistill.errors import DataError, EnvironmentFault, TrainingStopped


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: you tried"),
            True,
        ),
        (RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"), True),
        (MemoryError("Unable to allocate 4 GiB for an array"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_what_counts_as_out_of_memory(error, expected):
    assert is_out_of_memory(error) is expected


def test_a_real_allocation_that_fails_is_recognised():
    with pytest.raises((RuntimeError, MemoryError)) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)


def test_memory_halves_until_it_fits_and_remembers(notices):
    memory = Memory(13, notice=notices.append)
    asked = []

    def work(size):
        asked.append(size)
        if size > 3:
            raise torch.OutOfMemoryError
        return size * 10

    assert memory.attempt(work) == 30
    assert memory.attempt(work) == 30
    assert asked == [13, 6, 3, 3]
    assert ["13" in notices[0] and "6" in notices[0], len(notices)] == [True, 2]


def test_memory_gives_up_at_one_sample_and_keeps_the_cause(notices):
    def work(size):
        raise torch.OutOfMemoryError("tried to allocate 9 GiB")

    with pytest.raises(TrainingStopped, match=r"(?s)smaller crops.*9 GiB") as caught:
        Memory(2, notice=notices.append).attempt(work)
    assert isinstance(caught.value.__cause__, torch.OutOfMemoryError)


def test_other_errors_pass_through_memory(notices):
    def work(size):
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        Memory(4, notice=notices.append).attempt(work)
    assert notices == []


def test_micro_batches_are_cut_anew_only_for_another_size():
    collated = []
    micro = MicroBatches(list("abcde"), lambda part: collated.append("".join(part)) or "".join(part))
    assert [batch for _, batch in micro.of(2)] == ["ab", "cd", "e"]
    assert micro.of(2) == [(["a", "b"], "ab"), (["c", "d"], "cd"), (["e"], "e")]
    assert [batch for _, batch in micro.of(5)] == ["abcde"]
    assert collated == ["ab", "cd", "e", "abcde"]


def test_buffers_come_back_exactly():
    norm = torch.nn.BatchNorm2d(2)
    before = Buffers(norm)
    norm(torch.full((2, 2, 3, 5), torch.nan))
    assert norm.running_mean.isnan().all()
    before.restore()
    assert (norm.running_mean.tolist(), norm.num_batches_tracked.item()) == ([0, 0], 0)


def test_prefetch_gives_each_step_once_in_order_and_reads_ahead():
    fetched = []
    with Prefetch(lambda step: fetched.append(step) or [step], range(3, 8), ahead=2) as batches:
        taken = [batches.take()[0] for _ in range(3)]
    assert taken == [[3], [4], [5]]
    assert fetched[:3] == [3, 4, 5]
    assert len(fetched) <= 5  # no further ahead than asked


def test_prefetch_measures_the_wait():
    with Prefetch(lambda step: time.sleep(0.05) or [step], range(1)) as batches:
        _, waited = batches.take()
    assert 0.02 < waited < 5


def test_an_error_of_the_thread_is_raised_as_itself_where_its_batch_is_taken():
    cause = OSError("disk on fire")
    fault = DataError("a.tif cannot be read")

    def fetch(step):
        if step == 2:
            raise fault from cause
        return [step]

    with Prefetch(fetch, range(5)) as batches:
        assert [batches.take()[0] for _ in range(2)] == [[0], [1]]
        with pytest.raises(DataError) as caught:
            batches.take()
    assert caught.value is fault
    assert caught.value.__cause__ is cause
    assert "fetch" in [entry.name for entry in caught.traceback]


def test_prefetch_leaves_no_thread():
    before = threading.active_count()
    with Prefetch(lambda step: [step], range(50)) as batches:
        batches.take()
    assert threading.active_count() == before


@pytest.fixture
def interruptible():
    """SIGINT as Python has it in a terminal; a test run in the background inherits it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_second_signal_is_obeyed_at_once(interruptible):
    with StopSignals() as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop.received == "SIGINT"
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_an_ignored_signal_stays_ignored(interruptible):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with StopSignals() as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop.received is None
        signal.raise_signal(signal.SIGTERM)
        assert stop.received == "SIGTERM"
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_handlers_come_back():
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with StopSignals():
        assert signal.getsignal(signal.SIGTERM) != before[0]
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_outside_the_main_thread_no_handler_is_touched():
    seen = []

    def work():
        with StopSignals() as stop:
            seen.append((stop.received, signal.getsignal(signal.SIGTERM)))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(None, before)]


def test_a_folder_is_let_go_even_after_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), held(tmp_path / "run"):
        raise ZeroDivisionError
    with held(tmp_path / "run"):
        pass


def test_a_disk_without_locks_is_an_environment_fault(tmp_path, monkeypatch):
    def flock(*arguments):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(EnvironmentFault, match="No locks available"), held(tmp_path):
        pass


def test_a_place_that_cannot_be_a_folder_is_an_environment_fault(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentFault, match="file"), held(tmp_path / "file" / "run"):
        pass


def test_numbers_that_are_not_finite_are_null_in_the_log(tmp_path):
    log.append(tmp_path, {"step": 1, "loss": float("nan"), "terms": {"dice": float("inf"), "kl": 0.1}})
    text = (tmp_path / "log.jsonl").read_text()
    assert json.loads(text, parse_constant=pytest.fail) == {"step": 1, "loss": None, "terms": {"dice": None, "kl": 0.1}}


def test_cutting_the_log_drops_later_lines_and_a_broken_end(tmp_path):
    for step in range(1, 6):
        log.append(tmp_path, {"step": step, "loss": 0.1 * step})
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 6, "lo')
    log.cut(tmp_path, 3)
    assert [line["step"] for line in read_log(tmp_path)] == [1, 2, 3]
    log.append(tmp_path, {"step": 4, "loss": 0.0})
    assert [line["step"] for line in read_log(tmp_path)] == [1, 2, 3, 4]
    assert read_log(tmp_path)[2]["loss"] == 0.1 * 3
    assert [path.name for path in tmp_path.iterdir()] == ["log.jsonl"]


def test_the_log_is_on_the_disk_before_a_checkpoint_is(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda number: synced.append(os.fstat(number).st_ino))
    log.append(tmp_path, {"step": 1, "loss": 0.5})
    assert synced == []
    log.keep(tmp_path)
    assert synced == [(tmp_path / "log.jsonl").stat().st_ino]
    log.keep(tmp_path / "nothing logged")
    assert len(synced) == 1


def test_the_meter_by_hand(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    meter = Meter()
    now[0] += 4
    meter.add(6, 0.5)
    meter.add(6, 0.5)
    assert meter.read() == Pace(images_per_s=3.0, data_wait=0.25)
    meter.restart()
    now[0] += 1
    assert meter.read() == Pace(images_per_s=0.0, data_wait=0.0)


def test_plain_lines_come_every_ten_seconds_and_at_the_end(monkeypatch, notices):
    now = [0.0]
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: now[0])
    with shown(40, done=0, notice=notices.append, console=Console(file=io.StringIO())) as show:
        for step in range(1, 41):
            now[0] += 0.5
            show(step, 0.25, Pace(images_per_s=8.0, data_wait=0.03))
    assert [line.split(":")[0] for line in notices] == ["step 20/40", "step 40/40"]
    assert notices[0] == "step 20/40: loss 0.25, 8 images/s, data wait 3 %, 0:10 left"


def test_a_terminal_gets_a_bar_and_no_lines(notices):
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=160)
    with shown(4, done=1, notice=notices.append, console=console) as show:
        show(4, 0.5, Pace(images_per_s=8.0, data_wait=0.03))
    assert notices == []
    for part in ["4/4", "loss 0.5", "8 images/s", "data wait 3 %"]:
        assert part in screen.getvalue()
