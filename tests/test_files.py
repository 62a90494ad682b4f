import shutil

import pytest

from segdistill.errors import EnvironmentFault
from segdistill.files import remove, sha256_path, whole_folder


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_a_folder_is_replaced_whole(tmp_path):
    for number in range(2):
        with whole_folder(tmp_path / "a" / "b.zarr") as partial:
            (partial / str(number)).write_text("new")
    assert names(tmp_path) == ["a", "a/b.zarr", "a/b.zarr/1"]


def test_what_fails_leaves_the_old_folder_and_nothing_else(tmp_path):
    with whole_folder(tmp_path / "b.zarr") as partial:
        (partial / "old").write_text("old")

    def fail():
        with whole_folder(tmp_path / "b.zarr") as partial:
            (partial / "new").write_text("new")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert names(tmp_path) == ["b.zarr", "b.zarr/old"]


def test_what_a_killed_process_left_is_in_nobodys_way(tmp_path):
    for word in ("new", "old"):
        (tmp_path / f"b.zarr.{word}.partial" / "deep").mkdir(parents=True)
    with whole_folder(tmp_path / "b.zarr") as partial:
        (partial / "file").write_text("new")
    assert names(tmp_path) == ["b.zarr", "b.zarr/file"]


def test_a_folder_that_cannot_be_made_is_a_fault(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentFault, match="cannot be written"), whole_folder(tmp_path / "file" / "b.zarr"):
        pass


def test_the_hash_of_a_folder_is_that_of_its_names_and_bytes(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder / "0").mkdir(parents=True)
        (tmp_path / folder / "0" / "c").write_bytes(b"1")
    assert sha256_path(tmp_path / "a") == sha256_path(tmp_path / "b")
    (tmp_path / "b" / "0" / "c").write_bytes(b"2")
    assert sha256_path(tmp_path / "a") != sha256_path(tmp_path / "b")
    (tmp_path / "a" / "0" / "c").rename(tmp_path / "a" / "0" / "d")
    shutil.copytree(tmp_path / "a", tmp_path / "c")
    assert sha256_path(tmp_path / "a") == sha256_path(tmp_path / "c")
    assert sha256_path(tmp_path / "nothing") is None


def test_removing_what_a_link_leads_to_is_not_removing_the_link(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "a")
    remove(tmp_path / "link")
    remove(tmp_path / "nothing")
    assert names(tmp_path) == ["a"]
    remove(tmp_path / "a")
    assert names(tmp_path) == []
