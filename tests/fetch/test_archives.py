import io
import shutil
import stat
import struct
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segdistill.errors import DataError, EnvironmentFault
from segdistill.fetch import Limits, unpack


def zipped(path: Path, members: dict[str, bytes], *, change=None) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            if change:
                change(info)
            archive.writestr(info, content)
    return path


def tarred(path: Path, members: dict[str, bytes], *, kind: str = "w:gz", change=None) -> Path:
    with tarfile.open(path, kind) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            if change:
                change(info)
            archive.addfile(info, io.BytesIO(content))
    return path


def everything(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


FILES = {"a.txt": b"one", "inner/b c.bin": bytes(range(256)), "inner/deep/ü.txt": b""}


@pytest.mark.parametrize("pack", [zipped, tarred, lambda *a: tarred(*a, kind="w"), lambda *a: tarred(*a, kind="w:xz")])
def test_what_was_packed_comes_out(pack, tmp_path):
    unpack(pack(tmp_path / "x", FILES), tmp_path / "out")
    assert everything(tmp_path / "out") == FILES
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "x"]


EVIL = ["../x", "inner/../../x", "/etc/x", "C:/x", "C:x", "\\\\server\\x", "..\\x", "//server/share/x", "a\nb"]


@pytest.mark.parametrize("pack", [zipped, tarred])
@pytest.mark.parametrize("name", EVIL)
def test_names_that_lead_out_are_refused_before_anything_is_written(name, pack, tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    archive = pack(inner / "x", {"good.txt": b"1", name: b"2"})
    with pytest.raises(DataError, match="leads out of its folder"):
        unpack(archive, inner / "out")
    assert [path.name for path in tmp_path.rglob("*")] == ["inner", "x"]


def test_a_null_in_a_name_does_not_hide_the_rest_of_it(tmp_path):
    archive = zipped(tmp_path / "x", {"good.txt_.py": b"1"})
    archive.write_bytes(archive.read_bytes().replace(b"good.txt_.py", b"good.txt\0.py"))
    with pytest.raises(DataError, match="leads out of its folder"):
        unpack(archive, tmp_path / "out")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar_are_refused(kind, tmp_path):
    def change(info):
        info.type, info.linkname, info.size = kind, "/etc/passwd", 0

    with pytest.raises(DataError, match="link or a device"):
        unpack(tarred(tmp_path / "x", {"a": b""}, change=change), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_link_in_a_zip_is_refused(tmp_path):
    def change(info):
        info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16

    with pytest.raises(DataError, match="link or a device"):
        unpack(zipped(tmp_path / "x", {"a": b"/etc/passwd"}, change=change), tmp_path / "out")


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_many_megabytes_of_zeros_are_refused(pack, tmp_path):
    archive = pack(tmp_path / "x", {"zeros": bytes(110 * 2**20)})
    assert archive.stat().st_size < 2**20
    with pytest.raises(DataError, match="more than is believed"):
        unpack(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("pack", [zipped, tarred])
@pytest.mark.parametrize("limits", [Limits(files=2), Limits(size=100)])
def test_limits_hold_for_all_files_together(limits, pack, tmp_path):
    with pytest.raises(DataError, match="more than is believed"):
        unpack(pack(tmp_path / "x", FILES), tmp_path / "out", limits=limits)


def test_a_zip_that_claims_less_than_it_holds_is_refused(tmp_path):
    archive = zipped(tmp_path / "x", {"a": b"\0" * 5_000})
    content = archive.read_bytes()
    archive.write_bytes(content.replace(struct.pack("<I", 5_000), struct.pack("<I", 10)))
    with pytest.raises(DataError):
        unpack(archive, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize("names", [("a.txt", "A.TXT"), ("a", "./a"), ("\u00fc", "u\u0308")])
def test_names_that_meet_in_one_file_are_refused(names, tmp_path):
    with pytest.raises(DataError, match="one file on some disks"):
        unpack(zipped(tmp_path / "x", dict.fromkeys(names, b"1")), tmp_path / "out")


def test_an_encrypted_zip_is_refused(tmp_path):
    archive = zipped(tmp_path / "x", {"a": b"1"})
    content = bytearray(archive.read_bytes())
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + place] |= 1
    archive.write_bytes(bytes(content))
    with pytest.raises(DataError, match="encrypted"):
        unpack(archive, tmp_path / "out")


@pytest.mark.parametrize("pack", [zipped, tarred, lambda *a: tarred(*a, kind="w:xz")])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_cut_archive_is_refused_and_leaves_nothing(share, pack, tmp_path):
    archive = pack(tmp_path / "x", {f"{number}": bytes([number]) * 999 for number in range(40)})
    archive.write_bytes(archive.read_bytes()[: int(share * archive.stat().st_size)])
    with pytest.raises(DataError):
        unpack(archive, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(place=st.integers(0, 2_000), value=st.integers(0, 255), pack=st.sampled_from([zipped, tarred]))
def test_whatever_byte_is_changed_the_files_are_right_or_nothing_is_there(place, value, pack, tmp_path):
    shutil.rmtree(tmp_path / "out", ignore_errors=True)
    archive = pack(tmp_path / "x", FILES)
    content = bytearray(archive.read_bytes())
    content[place % len(content)] = value
    archive.write_bytes(bytes(content))
    try:
        unpack(archive, tmp_path / "out")
    except (DataError, EnvironmentFault):
        assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out.partial").exists()
    assert {path.name for path in tmp_path.iterdir()} <= {"x", "out"}


def test_a_folder_that_exists_is_not_touched(tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(EnvironmentFault, match="exists"):
        unpack(zipped(tmp_path / "x", FILES), tmp_path / "out")


def test_what_cannot_fit_is_refused_before_it_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10}))
    with pytest.raises(EnvironmentFault, match="no room"):
        unpack(zipped(tmp_path / "x", FILES), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


@pytest.mark.skipif(sys.platform == "win32", reason="no limits on file sizes there")
def test_a_full_disk_is_told_and_leaves_nothing(tmp_path):
    import resource
    import signal

    archive = zipped(tmp_path / "x", {"a": bytes(range(256)) * 400})
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, old[1]))
    try:
        with pytest.raises(EnvironmentFault, match="cannot be written"):
            unpack(archive, tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, ignored)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_what_an_interrupted_run_left_is_replaced(tmp_path):
    (tmp_path / "out.partial").mkdir()
    (tmp_path / "out.partial" / "old").write_bytes(b"1")
    unpack(zipped(tmp_path / "x", FILES), tmp_path / "out")
    assert everything(tmp_path / "out") == FILES


def test_what_is_no_archive_is_refused(tmp_path):
    (tmp_path / "x").write_bytes(b"<html>log in</html>")
    with pytest.raises(DataError, match="neither a zip nor a tar"):
        unpack(tmp_path / "x", tmp_path / "out")
