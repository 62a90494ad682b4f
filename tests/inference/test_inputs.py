import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from segdistill.errors import ConfigError, DataError
from segdistill.inference.inputs import Found, find_images, fingerprint, folded, name_images

NOWHERE = Path("nowhere")


def make(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path.with_suffix(".npy"), np.zeros((1, 2, 3), np.uint8))
        path.with_suffix(".npy").rename(path)
    return folder


def names(*paths, without=NOWHERE):
    return [image.name for image in name_images(find_images(paths, without=without))]


def test_images_are_named_after_their_place_in_the_folder(tmp_path):
    make(tmp_path, "B02.PNG", "plate 1/A01.ome.TIF", "plate 1/notes.txt", ".hidden.png", ".trash/A01.png", "x.v2.npy")
    assert names(tmp_path) == ["B02", "plate 1/A01", "x.v2"]


def test_a_zarr_folder_is_one_image(tmp_path):
    make(tmp_path, "a.ome.zarr/0/c/0.npy", "b/zarr.json", "c.tif")
    assert names(tmp_path) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        (["a.png", "a.tif"], ["a.png", "a.tif"]),
        (["x.png", "x.tif", "x.tif.png"], ["images/x.tif", "x.png", "x.tif.png"]),  # "x.tif" would be two images'
        (["A01.png", "a01.png"], ["A01.png", "a01.png"]),
    ],
)
def test_names_never_collide(tmp_path, files, wanted):
    found = names(make(tmp_path / "images", *files))
    assert len({folded(name) for name in found}) == len(files)
    if files[0].casefold() != files[1].casefold():
        assert found == wanted


def test_one_name_in_two_folders_and_in_two_unicode_forms(tmp_path):
    first, second = (
        make(tmp_path / "plate1/images", "é 🔬'\".png"),
        make(tmp_path / "plate2/images", "e\u0301 🔬'\".png"),
    )
    found = names(first, second)
    assert len({folded(name) for name in found}) == 2
    assert found == ["plate1/images/é 🔬'\".png", "plate2/images/e\u0301 🔬'\".png"]


def test_a_very_long_name_is_shortened_and_stays_its_own():
    long = [Found(Path("/d") / f"{'x' * 240}{end}.png", Path(f"{'x' * 240}{end}.png")) for end in "ab"]
    found = [image.name for image in name_images(long)]
    assert len(set(found)) == 2
    assert all(len(f"{name}.probabilities.ome.tif.partial".encode()) <= 255 for name in found)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has file names that are not text")
def test_a_name_that_is_not_text_becomes_text():
    path = Path(os.fsdecode(b"/d/caf\xe9.png"))
    assert [image.name.encode() for image in name_images([Found(path, Path(path.name))])] == ["caf\ufffd".encode()]


def test_the_folder_for_the_masks_is_not_searched(tmp_path):
    make(tmp_path, "a.png", "masks/a.tif")
    assert names(tmp_path, without=tmp_path / "masks") == ["a"]


def test_a_link_back_to_where_the_search_was_ends_there(tmp_path):
    make(tmp_path, "inner/a.png")
    (tmp_path / "inner" / "loop").symlink_to(tmp_path, target_is_directory=True)
    assert names(tmp_path) == ["inner/a"]


def test_what_is_missing_empty_or_named_twice_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"There is no file or folder .*nothing"):
        find_images([tmp_path / "nothing"], without=NOWHERE)
    with pytest.raises(DataError, match=r"There is no image in .*known by their suffix"):
        find_images([tmp_path], without=NOWHERE)
    make(tmp_path, "a.png")
    with pytest.raises(ConfigError, match=r"a\.png is named twice"):
        find_images([tmp_path, tmp_path / "a.png"], without=NOWHERE)


def test_what_must_be_converted_is_an_image_of_its_folder(tmp_path):
    make(tmp_path, "a.tif", "b.czi", "plate/c.ND2", "notes.txt")
    assert names(tmp_path) == ["a", "b", "plate/c"]


def test_what_has_been_converted_is_left_aside_and_told(tmp_path):
    make(tmp_path, "a.ome.tif", "a.czi", "b/a.czi", "c.zarr/0.npy", "c.lif")
    told = []
    found = find_images([tmp_path], without=NOWHERE, notice=told.append)
    assert [image.place.as_posix() for image in found] == ["a.ome.tif", "c.zarr", "b/a.czi"]
    assert told == ["Left aside, as an image of the same name stands beside each: a.czi, c.lif."]


def test_a_folder_in_which_all_must_be_converted_is_refused_with_the_hint(tmp_path):
    make(tmp_path, "a.czi", "b.nd2")
    with pytest.raises(DataError, match=r"can be read as it is: a\.czi, b\.nd2\. Of a\.czi: .*`bioformats2raw a\.czi"):
        find_images([tmp_path], without=NOWHERE)
    assert names(tmp_path / "a.czi") == ["a"]  # named itself, it fails in its turn


def test_names_of_earlier_runs_are_kept_and_not_taken(tmp_path):
    images = find_images([make(tmp_path / "plate", "a.png", "b.png")], without=NOWHERE)
    named = name_images(
        images,
        before=lambda image: "a.png" if image.path.name == "a.png" else None,
        free=lambda name, _: name != "b",
    )
    assert [image.name for image in named] == ["a.png", "b.png"]


def test_a_fingerprint_changes_with_the_image(tmp_path):
    folder = make(tmp_path, "a.npy", "z.zarr/0.npy")
    files = {"dapi": folder / "a.npy"}
    images = [Found(folder / name, Path(name)) for name in ("a.npy", "z.zarr")] + [Found(folder, Path(), files)]
    before = [fingerprint(image) for image in images]
    assert before == [fingerprint(image) for image in images]
    (folder / "a.npy").write_bytes(b"other")
    (folder / "z.zarr" / "0.npy").write_bytes(b"other")
    assert all(old != fingerprint(image) for old, image in zip(before, images, strict=True))
    assert fingerprint(images[-1]) != fingerprint(replace(images[-1], files={"actin": folder / "a.npy"}))
    with pytest.raises(DataError, match="cannot be read"):
        fingerprint(Found(Path(f"/{'x' * 300}"), Path("x")))


def test_files_of_one_channel_each_are_joined_by_a_pattern(tmp_path):
    make(tmp_path, "p1/A01_dapi.tif", "p1/A01_actin.tif", "p2/A01_dapi.tif", "thumbnail.png")
    found = find_images([tmp_path], without=NOWHERE, pattern="{name}_{channel}.tif")
    assert [(image.place.as_posix(), sorted(image.files or {})) for image in found] == [
        ("p1/A01", ["actin", "dapi"]),
        ("p2/A01", ["dapi"]),
    ]
    assert [image.name for image in name_images(found)] == ["p1/A01", "p2/A01"]
    with pytest.raises(DataError, match=r"None of the files .* matches the pattern"):
        find_images([tmp_path], without=NOWHERE, pattern="{channel}-{name}.tif")
    make(tmp_path, "p2/A01_DAPI.tif", "p2/A01_dapi.TIF")
    with pytest.raises(DataError, match=r"are both channel 'dapi' of 'p2/A01'"):
        find_images([tmp_path], without=NOWHERE, pattern="{name}_{channel}.tif")


def test_a_folder_per_channel_is_a_pattern_too(tmp_path):
    make(tmp_path, "dapi/p.1/A01.tif", "actin/p.1/A01.tif")
    (image,) = find_images([tmp_path], without=NOWHERE, pattern="{channel}/{name}.tif")
    assert image.place.as_posix() == "p.1/A01"
    assert image.files == {"actin": tmp_path / "actin/p.1/A01.tif", "dapi": tmp_path / "dapi/p.1/A01.tif"}
