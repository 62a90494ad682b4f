"""A check reads every file once, and keeps no image."""

import weakref
from collections import Counter

import numpy as np
import pytest

from segdistill.data.image import Image
from segdistill.data.readers import opening
from segdistill.settings import Check
from segdistill.study.checking import check

SHAPE = (40, 56)


class Counting:
    """An opened array that counts the pixels it hands out, and watches what becomes of them."""

    def __init__(self, path, pixels, kept):
        array = np.load(path)
        self.image = Image(array[None] if array.ndim == 2 else array, ("channel0",), None, str(path))
        self.path, self.pixels, self.kept = path, pixels, kept
        self.channels, self.pixel_size, self.source = self.image.channels, None, str(path)
        self.shape, self.dtype = self.image.array.shape, array.dtype

    def read(self, window=None):
        part = self.image.array[:, *(window or (slice(None), slice(None)))].copy()
        self.pixels[f"{self.path.parent.name}/{self.path.name}"] += part.size
        self.kept.append(weakref.ref(part))
        return part

    def close(self):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


@pytest.fixture
def reads(tmp_path, monkeypatch):
    """Six images with labels, the second a copy of the first; pixels read by file, and all arrays handed out."""
    for folder in ("images", "labels", "ignore"):
        (tmp_path / "data" / folder).mkdir(parents=True)
    for number in range(6):
        picture = np.random.default_rng(max(number, 1)).integers(0, 200, SHAPE).astype(np.uint8)
        np.save(tmp_path / f"data/images/{number}.npy", picture)
        labels = np.zeros(SHAPE, np.uint16)
        labels[5:9, 5 : 9 + number] = 1
        np.save(tmp_path / f"data/labels/{number}.npy", labels)
    np.save(tmp_path / "data/ignore/0.npy", np.zeros(SHAPE, np.uint8))
    pixels, kept = Counter(), []

    def open_counted(path, **_):
        return Counting(path, pixels, kept)

    monkeypatch.setitem(opening.BUILTIN, ".npy", open_counted)
    return tmp_path / "data", pixels, kept


def test_every_file_is_read_once(reads):
    data, pixels, _ = reads
    found = check(data, Check(label_kind=None))
    wanted = {f"{folder}/{number}.npy" for folder in ("images", "labels") for number in range(6)} | {"ignore/0.npy"}
    assert pixels == Counter(dict.fromkeys(wanted, SHAPE[0] * SHAPE[1]))
    assert any("The same picture: 0, 1." in remark for remark in found.remarks)
    assert found.histograms[0].stored


def test_no_image_stays_in_memory(reads, monkeypatch):
    data, _, kept = reads
    alive = []
    real = Counting.read

    def watched(self, window=None):
        alive.append(sum(each() is not None for each in kept))
        return real(self, window)

    monkeypatch.setattr(Counting, "read", watched)
    check(data, Check())
    assert len(alive) == 13
    assert max(alive) <= 3  # of one case: its image, its mask and its labels
    assert sum(each() is not None for each in kept) == 0


def test_bits_are_called_by_their_names_and_a_side_among_them_is_warned_of(tmp_path):
    draw = np.random.default_rng(0)
    for part in ("images", "labels"):
        (tmp_path / part).mkdir()
    for number in range(3):
        np.save(tmp_path / "images" / f"{number}.npy", draw.integers(0, 255, SHAPE, dtype=np.uint8))
        np.save(tmp_path / "labels" / f"{number}.npy", draw.integers(0, 8, SHAPE, dtype=np.uint8))
    names = {"1": "right lung", "4": "heart"}
    found = check(tmp_path, Check(label_kind="bits", value_names=names))
    assert [each.structure for each in found.balance] == ["right lung", "bit 2", "heart"]
    assert any(remark.startswith("right lung: a mirrored image") for remark in found.remarks)
