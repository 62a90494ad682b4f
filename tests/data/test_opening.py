import os
from importlib import metadata

import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

from segdistill.data.readers import open_image, read_image
from segdistill.errors import DataError

STACK = np.random.default_rng(0).integers(0, 255, (2, 7, 13), dtype=np.uint8)


def planes(folder, **arrays):
    """Save one picture per channel and return their paths by name."""
    for name, array in arrays.items():
        Pillow.fromarray(array).save(folder / f"{name}.png")
    return {name: folder / f"{name}.png" for name in arrays}


def test_one_file_per_channel(tmp_path):
    paths = planes(tmp_path, nucleus=STACK[0], membrane=STACK[1])
    with open_image(paths) as image:
        assert (image.channels, image.shape, image.dtype) == (("nucleus", "membrane"), (2, 7, 13), np.uint8)
        assert np.array_equal(image.read(), STACK)
        assert np.array_equal(image.read((slice(1, 3), slice(4, 9))), STACK[:, 1:3, 4:9])
        assert str(paths["nucleus"]) in image.source
    assert read_image(paths, channels=["nucleus", "membrane"]).channels == ("nucleus", "membrane")


def test_files_that_do_not_fit_together_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"a\.png 7 × 13 pixels; .*b\.png 6 × 13 pixels"):
        open_image(planes(tmp_path, a=STACK[0], b=STACK[1, :6]))
    with pytest.raises(DataError, match=r"a\.png uint8; .*b\.png uint16"):
        open_image(planes(tmp_path, a=STACK[0], b=STACK[1].astype(np.uint16)))
    with pytest.raises(DataError, match=r"channel 'b', but has 3 channels itself: red, green, blue"):
        open_image(planes(tmp_path, a=STACK[0], b=np.dstack([STACK[0]] * 3)))
    with pytest.raises(DataError, match=r"--channels names x, y, but the files are named as a, b"):
        open_image(planes(tmp_path, a=STACK[0], b=STACK[1]), channels=["x", "y"])
    with pytest.raises(DataError, match="names no file"):
        open_image({})


def test_a_missing_file_is_named_with_its_neighbour(tmp_path):
    Pillow.fromarray(STACK[0]).save(tmp_path / "field_01.png")
    with pytest.raises(DataError, match=r"There is no file .*field_1\.png\. Did you mean 'field_01\.png'"):
        open_image(tmp_path / "field_1.png")
    with pytest.raises(DataError, match=r"There is no file .*gone/a\.png\.$"):
        open_image(tmp_path / "gone" / "a.png")


@pytest.mark.parametrize("suffix", ["czi", "nd2", "lif", "SVS", "oib"])
def test_formats_of_microscopes_come_with_the_way_to_convert_them(tmp_path, suffix):
    (tmp_path / f"slide.{suffix}").write_bytes(b"?")
    with pytest.raises(DataError, match=f"bioformats2raw slide.{suffix} slide.zarr.*OME-TIFF"):
        open_image(tmp_path / f"slide.{suffix}")


def test_other_formats_are_refused_with_those_that_are_read(tmp_path):
    (tmp_path / "scan.mha").write_bytes(b"?")
    with pytest.raises(DataError, match="medical format: save it as NIfTI"):
        open_image(tmp_path / "scan.mha")
    (tmp_path / "notes.txt").write_bytes(b"?")
    with pytest.raises(DataError, match=r"no reader for \.txt\. Save it as one of: \.png"):
        open_image(tmp_path / "notes.txt")
    (tmp_path / "bare").write_bytes(b"?")
    with pytest.raises(DataError, match="files without a suffix"):
        open_image(tmp_path / "bare")
    with pytest.raises(DataError, match="is a folder, and no OME-Zarr"):
        open_image(tmp_path)


class Slide:
    """What a plugin for another format might return."""

    pixel_size, shape, dtype = 0.25, (1, 2, 3), np.dtype("u1")

    def __init__(self, path, channels):
        self.source, self.channels = str(path), tuple(channels)

    def read(self, window=None):
        return np.full(self.shape if window is None else (1, 1, 1), 7, self.dtype)

    def close(self):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def open_slide(path, *, channels, axes, fill_missing):
    assert (axes, fill_missing) == ("yx", True)
    return Slide(path, channels)


class Provided:
    """An entry point as an installed package would provide it."""

    def __init__(self, name):
        self.name, self.value = name, f"plugin:{name}"

    def load(self):
        return open_slide


def test_a_plugin_reads_a_suffix_that_nothing_here_reads(tmp_path, monkeypatch):
    provided = [Provided("czi"), Provided("png")]
    monkeypatch.setattr(metadata, "entry_points", lambda group: provided if group == "segdistill.readers" else [])
    monkeypatch.setattr("segdistill.plugins.entry_points", metadata.entry_points)
    (tmp_path / "a.CZI").write_bytes(b"?")
    image = read_image(tmp_path / "a.CZI", channels=["DAPI"], axes="yx", fill_missing=True)
    assert (image.channels, image.pixel_size, image.array.max()) == (("DAPI",), 0.25, 7)
    Pillow.fromarray(STACK[0]).save(tmp_path / "b.png")
    assert np.array_equal(read_image(tmp_path / "b.png").array[0], STACK[0])  # a built-in suffix stays built in


def test_long_paths(tmp_path):
    folder = tmp_path.joinpath(*["deep and long é" * 4] * 4)
    folder.mkdir(parents=True)
    Pillow.fromarray(STACK[0]).save(folder / "a'b\"c.png")
    assert len(str(folder)) > 260
    assert np.array_equal(read_image(folder / "a'b\"c.png").array[0], STACK[0])


def test_reading_leaves_the_folder_as_it_was_and_needs_no_right_to_write(tmp_path):
    Pillow.fromarray(STACK[0]).save(tmp_path / "a.png")
    np.save(tmp_path / "b.npy", STACK[0])
    Pillow.fromarray(STACK[0]).save(tmp_path / "c.tif")
    before = {file.name: (file.stat().st_mtime_ns, file.stat().st_size) for file in tmp_path.iterdir()}
    for file in tmp_path.iterdir():
        file.chmod(0o400)
    tmp_path.chmod(0o500)
    try:
        for name in before:
            assert np.array_equal(read_image(tmp_path / name).array[0], STACK[0])
        after = {file.name: (file.stat().st_mtime_ns, file.stat().st_size) for file in tmp_path.iterdir()}
    finally:
        tmp_path.chmod(0o700)
    assert after == before


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_refused_by_name(tmp_path):
    Pillow.fromarray(STACK[0]).save(tmp_path / "a.png")
    (tmp_path / "a.png").chmod(0)
    with pytest.raises(DataError, match=r"a\.png cannot be read"):
        read_image(tmp_path / "a.png")


def test_a_right_that_is_missing_is_not_called_damage(tmp_path, monkeypatch):
    def refused(*_, **__):
        raise PermissionError(13, "Permission denied", "a.tif")

    Pillow.fromarray(np.zeros((3, 4), np.uint8)).save(tmp_path / "a.tif")
    monkeypatch.setattr(tifffile, "TiffFile", refused)
    with pytest.raises(DataError, match=r"a\.tif cannot be read: the right to read it is missing.*denied") as told:
        read_image(tmp_path / "a.tif")
    assert "damaged" not in str(told.value)


def test_the_same_picture_in_any_type_and_format_is_the_same(tmp_path):
    plane = STACK[0]
    Pillow.fromarray(plane).save(tmp_path / "a.png")
    for dtype in ("u1", "<u2", ">u2", "u4", "i2", "f4"):
        np.save(tmp_path / "a.npy", plane.astype(dtype))
        assert np.array_equal(read_image(tmp_path / "a.npy").array, read_image(tmp_path / "a.png").array)
