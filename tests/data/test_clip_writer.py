"""Clips that are written: whole or absent, of the colours and the rate that were asked for."""

from fractions import Fraction

import numpy as np
import pytest

from segdistill.data import read_image
from segdistill.data.clip_writer import COLOUR, GREY, clip_file
from segdistill.data.clips import frame_rate
from segdistill.data.readers import count_planes
from segdistill.data.readers.planes import plane_path
from segdistill.errors import DataError, ShapeError

pytest.importorskip("av", reason="PyAV is not installed: pip install 'segdistill[video]'")

SIZE, RATE = (31, 45), Fraction(24000, 1001)


def test_grey_clips_keep_every_pixel_and_equal_frames_give_equal_bytes(tmp_path):
    frames = np.random.default_rng(0).integers(0, 256, (7, *SIZE)).astype(np.uint8)
    for name in ("a", "b"):
        with clip_file(tmp_path / f"{name}.avi", size=SIZE, rate=RATE, codec=GREY) as add:
            for frame in frames:
                add(frame)
    assert (count_planes(tmp_path / "a.avi"), frame_rate(tmp_path / "a.avi")) == (7, RATE)
    for number, frame in enumerate(frames, start=1):
        np.testing.assert_array_equal(read_image(plane_path(tmp_path / "a.avi", number)).array[0], frame)
    assert (tmp_path / "a.avi").read_bytes() == (tmp_path / "b.avi").read_bytes()


def test_thin_coloured_lines_stay_sharp(tmp_path):
    frame = np.full((*SIZE, 3), 90, np.uint8)
    frame[10] = (230, 159, 0)
    with clip_file(tmp_path / "a.avi", size=SIZE, rate=RATE, codec=COLOUR) as add:
        add(frame)
        add(frame)
    found = read_image(plane_path(tmp_path / "a.avi", 2)).array.transpose(1, 2, 0).astype(int)
    assert np.abs(found - frame).max() < 20


def test_what_is_interrupted_leaves_nothing(tmp_path):
    def write():
        with clip_file(tmp_path / "a.avi", size=SIZE, rate=RATE, codec=COLOUR) as add:
            add(np.zeros((*SIZE, 3), np.uint8))
            add(np.zeros((31, 44, 3), np.uint8))

    with pytest.raises(ShapeError, match=r"31 × 44 pixels .* whose frames have 31 × 45"):
        write()
    assert not list(tmp_path.iterdir())


def test_a_single_wrong_byte_in_a_grey_clip_is_found_by_its_checksum(tmp_path, capfd):
    av = pytest.importorskip("av")
    frames = np.random.default_rng(0).integers(0, 256, (5, *SIZE)).astype(np.uint8)
    path = tmp_path / "a.avi"
    with clip_file(path, size=SIZE, rate=RATE, codec=GREY) as add:
        for frame in frames:
            add(frame)
    with av.open(str(path)) as file:
        packets = [(packet.pos, packet.size) for packet in file.demux(file.streams.video[0]) if packet.size]
    whole = path.read_bytes()
    for number, (place, size) in enumerate(packets):
        data = bytearray(whole)
        data[place + size // 2] ^= 0xFF
        broken = tmp_path / f"{number}.avi"
        broken.write_bytes(data)
        for other in range(len(packets)):
            if other == number:
                with pytest.raises(DataError, match=rf"Frame {number + 1} of .*\.avi is damaged"):
                    read_image(plane_path(broken, other + 1))
            else:
                np.testing.assert_array_equal(read_image(plane_path(broken, other + 1)).array[0], frames[other])
    assert capfd.readouterr() == ("", "")
