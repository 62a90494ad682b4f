"""The main job and prediction where there is no home, no network and no folder but the one that was named."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SEAL = """
import json, os, socket, sys
from pathlib import Path

MAY, WRITING = [os.path.realpath(path) for path in json.loads(sys.argv[1])], os.O_WRONLY | os.O_RDWR | os.O_CREAT
NAMING = {"os.mkdir": 1, "os.rename": 2, "os.remove": 1, "os.rmdir": 1, "os.link": 2, "os.symlink": 2, "os.truncate": 1}
elsewhere, abroad = [], []

def is_writing(mode, flags):
    return bool(set(mode or "") & set("wax+")) or bool(flags & WRITING)

def note(path):
    if isinstance(path, int):
        return  # an open file: its opening was seen
    whole = os.path.realpath(os.fsdecode(path))
    if whole != os.devnull and not any(whole == may or whole.startswith(may + os.sep) for may in MAY):
        elsewhere.append(whole)

def refuse(address):
    host = address[0] if isinstance(address, tuple) else address
    if isinstance(address, tuple) and host not in {"127.0.0.1", "::1", "localhost"}:
        abroad.append(str(host))
        raise OSError(101, f"the network is off: {host}")

def watch(event, given):
    if event == "open" and is_writing(given[1], given[2]):
        note(given[0])
    elif event in NAMING:
        for path in given[:NAMING[event]]:
            note(path)
    elif event in {"socket.connect", "socket.sendto"}:
        refuse(given[1])
    elif event in {"socket.getaddrinfo", "socket.gethostbyname"}:
        refuse((given[0],))

sys.addaudithook(watch)
"""
WORK = """
from segdistill.cli import status
done = [status(words) for words in json.loads(sys.argv[2])]
"""
TELL = """
print(json.dumps({"done": done, "elsewhere": elsewhere, "abroad": abroad}))
"""
MISCHIEF = """
done = []
for name in ("HOME", "TMPDIR"):
    try:
        Path(os.environ[name], "file").write_text("mischief")
    except OSError:
        done.append(name)
for reach in (lambda: socket.getaddrinfo("example.org", 443), lambda: socket.create_connection(("192.0.2.1", 443), 1)):
    try:
        reach()
    except OSError as error:
        done.append(error.errno)
"""


def sealed(program, room, *given):
    """Run a program that may write to its room alone and reach nobody; return what it did, and what it tried."""
    (room / "empty").mkdir(parents=True)
    (room / "scratch").mkdir()
    (room / "file").write_text("no folder can be made below a file, whoever tries")
    nowhere = str(room / "file" / "home")
    forgotten = ("HF_", "TORCH", "MPL", "XDG_", "TRANSFORMERS", "SEGDISTILL")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(forgotten)}
    environment |= dict.fromkeys(("HOME", "USERPROFILE", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"), nowhere)
    environment |= {"TMPDIR": str(room / "scratch"), "OMP_NUM_THREADS": "1"}
    may = json.dumps([str(room / "out"), str(room / "scratch")])
    result = subprocess.run(
        [sys.executable, "-B", "-c", SEAL + program + TELL, may, *given],
        cwd=room / "empty",
        env=environment,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return json.loads(result.stdout.splitlines()[-1])


def files_of(folder):
    return {path.relative_to(folder): path.stat().st_mtime_ns for path in sorted(folder.rglob("*"))}


@pytest.fixture(scope="module")
def job(tissue, tmp_path_factory):
    """The room of a job and a prediction, what they tried, and what the data were before and after."""
    room = tmp_path_factory.mktemp("sealed")
    run, masks, images = room / "out" / "run", room / "out" / "masks", tissue / "images"
    words = f"""distill --data {tissue} --out {run} --label-sets cell --label-kind instances --split 0.5 0.25 0.25
        --teacher sam-tiny-tissue --teacher-channels nucleus membrane --control sam-tiny-tissue-control
        --student unet-tiny --student-channels nucleus --labels 2 --device cpu
        --protocol.steps 2 --protocol.batch-size 2 --protocol.crop 32 --protocol.validations 1""".split()
    use = f"predict {run / 'model'} {images} --out {masks} --device cpu --outputs labels geojson table".split()
    before = files_of(tissue)
    return room, sealed(WORK, room, json.dumps([words, use])), before, files_of(tissue)


def test_everything_runs_to_its_end_without_a_home(job):
    room, tried, _, _ = job
    assert tried["done"] == [0, 0]
    assert (room / "out" / "run" / "report.html").stat().st_size > 0
    assert len(list((room / "out" / "masks").glob("*.geojson"))) == 8
    with (room / "out" / "run" / "scores.csv").open(newline="", encoding="utf-8") as handle:
        assert {row["arm"] for row in csv.DictReader(handle)} == {"baseline", "student", "control", "teacher"}


def test_nothing_is_written_but_to_the_folder_that_is_named(job):
    room, tried, before, after = job
    # Lightning imports Matplotlib, which tries its own folder, cannot have it and makes a temporary one.
    assert set(tried["elsewhere"]) <= {str(Path(room, "file", "home", "matplotlib").resolve())}
    assert after == before
    assert list((room / "empty").iterdir()) == []
    assert [path for path in (room / "scratch").rglob("*") if path.is_file()] == []  # torch leaves an empty folder


def test_nobody_is_asked_for_anything(job):
    assert job[1]["abroad"] == []


def test_the_seal_holds(tmp_path):
    tried = sealed(MISCHIEF, tmp_path)
    assert tried["done"] == ["HOME", 101, 101]
    assert tried["elsewhere"] == [str(Path(tmp_path, "file", "home", "file").resolve())]
    assert tried["abroad"] == ["example.org", "192.0.2.1"]
