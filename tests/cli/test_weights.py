import io
import subprocess
import sys
import tarfile
from dataclasses import replace

import pytest

from segdistill.fetch import Door, Item
from segdistill.fetch.item import checksum_of
from segdistill.teachers import weight_files
from segdistill.teachers.weight_files import WEIGHTS, WeightFile, fetch_weights, verify_weights


@pytest.fixture
def site(tmp_path, monkeypatch):
    """What is fetched, without a network: files of a folder that ``copy`` hands out."""
    source = tmp_path / "site"
    source.mkdir()
    asked = []

    def copy(item, folder, *, notice):
        from segdistill.fetch import Fetched
        from segdistill.fetch.ledger import record

        asked.append(item.name)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / item.name).write_bytes((source / item.name).read_bytes())
        record(folder, [item.name])
        return Fetched(path=folder / item.name, fresh=True, words=f"{folder / item.name}: fetched")

    monkeypatch.setattr(weight_files, "download", copy)
    (source / "a.pth").write_bytes(b"weights")
    with tarfile.open(source / "b.tar.gz", "w:gz") as archive:
        info = tarfile.TarInfo("v1/b.pt")
        info.size = 4
        archive.addfile(info, io.BytesIO(b"four"))
    plain = Item(name="a.pth", address="https://x.org/a.pth", checksum=checksum_of(source / "a.pth"), megabytes=1)
    packed = Item(name="b.tar.gz", address="b", checksum=checksum_of(source / "b.tar.gz", like="md5:"), megabytes=2)
    table = {
        "a": WeightFile(item=plain, licence="MIT"),
        "b": WeightFile(item=packed, licence="non-commercial", archive=True),
    }
    monkeypatch.setattr(weight_files, "WEIGHTS", table)
    return asked


def test_list_names_all_with_terms_tokens_and_checksums(run, tmp_path):
    out = run("weights", "list", "--folder", tmp_path).out
    for name, each in WEIGHTS.items():
        line = next(line for line in out.splitlines() if line.startswith(f"{name} "))
        assert each.licence in line
        assert (each.item.checksum or "none published") in line
        assert line.endswith("no")
    assert "DEEPCELL_ACCESS_TOKEN" in out


def test_fetch_puts_weights_where_their_teacher_is_told_to_look(run, site, tmp_path):
    done = run("weights", "fetch", "a", "b", "--folder", tmp_path / "w")
    assert done.status == 0
    assert f"--teacher a --teacher-weights {tmp_path / 'w' / 'a'}" in done.out
    assert "Licence: non-commercial" in done.out
    assert (tmp_path / "w" / "a" / "a.pth").read_bytes() == b"weights"
    assert (tmp_path / "w" / "b" / "v1" / "b.pt").read_bytes() == b"four"
    assert run("weights", "list", "--folder", tmp_path / "w").out.count("yes") == 2


def test_what_was_unpacked_is_not_fetched_again(site, tmp_path):
    fetch_weights("b", tmp_path, notice=str)
    (tmp_path / "b.tar.gz").unlink()
    assert not fetch_weights("b", tmp_path, notice=str).fresh
    assert site == ["b.tar.gz"]


def test_verify_compares_with_the_published_checksum_and_with_what_was_unpacked(run, site, tmp_path):
    for name in ("a", "b"):
        fetch_weights(name, tmp_path, notice=str)
    sound = run("weights", "verify", "--folder", tmp_path)
    assert (sound.status, [line.split()[0] for line in sound.out.splitlines()]) == (0, ["pinned", "pinned", "recorded"])
    (tmp_path / "b" / "v1" / "b.pt").write_bytes(b"Four")
    (tmp_path / "a" / "a.pth").write_bytes(b"poison")
    changed = run("weights", "verify", "--folder", tmp_path)
    assert (changed.status, [line.split()[0] for line in changed.out.splitlines()]) == (1, ["wrong", "pinned", "wrong"])


def test_verify_of_an_empty_folder_says_so(run, tmp_path):
    done = run("weights", "verify", "--folder", tmp_path)
    assert done.status == 2
    assert "segdistill weights fetch NAME" in done.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fetch"], "Name the weights to fetch: sam-vit-b"),
        (["fetch", "cellsm"], "Did you mean 'cellsam'?"),
        (["list", "cellsam"], "`weights list` takes no names"),
        (["verify", "cellsam"], "`weights verify` takes no names"),
        (["feth"], "feth"),
    ],
)
def test_what_is_not_understood_is_told(words, said, run, tmp_path):
    done = run("weights", *words, "--folder", tmp_path)
    assert done.status == 2
    assert said in done.err


def test_one_wrong_name_stops_all_before_any_is_fetched(run, site, tmp_path):
    assert run("weights", "fetch", "a", "c", "--folder", tmp_path).status == 2
    assert site == []


def test_offline_the_exit_status_is_that_of_the_environment(run, tmp_path, monkeypatch):
    monkeypatch.setenv("SEGDISTILL_OFFLINE", "1")
    done = run("weights", "fetch", "sam-vit-b", "--folder", tmp_path)
    assert done.status == 3
    for part in ("SEGDISTILL_OFFLINE", "https://dl.fbaipublicfiles.com", "sha256:ec2df627", "sam_vit_b_01ec64.pth"):
        assert part in done.err


def test_every_published_checksum_is_one():
    for each in WEIGHTS.values():
        replace(each.item)  # an item refuses what is no checksum when it is made
        assert isinstance(each.item.door, Door)


def test_the_command_needs_no_torch():
    code = "import sys; from segdistill.cli import status; status(['weights', 'list']); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("\nFalse\n")


def test_verify_weights_leaves_out_what_is_not_there(site, tmp_path):
    fetch_weights("a", tmp_path, notice=str)
    assert [finding.path.name for finding in verify_weights(tmp_path)] == ["a.pth"]
