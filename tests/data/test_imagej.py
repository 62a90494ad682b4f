import struct
import zipfile

import numpy as np
import pytest

from segdistill.data.imagej import read_imagej
from segdistill.data.outlines import read_outlines
from segdistill.errors import DataError

POLYGON, RECTANGLE, OVAL, POINT = 0, 1, 2, 10


def roi(kind, top, left, bottom, right, corners=(), *, position=0, subtype=0, options=0):
    """Return the bytes of an ROI, by the table in ImageJ's RoiDecoder: big-endian, 64 bytes, then x, then y."""
    head = struct.pack(">4shBx5h", b"Iout", 227, kind, top, left, bottom, right, len(corners))
    head += bytes(48 - len(head)) + struct.pack(">hh", subtype, options) + bytes(4)
    head += struct.pack(">ii", position, 0)
    xs, ys = zip(*corners, strict=True) if corners else ((), ())
    return head + struct.pack(f">{2 * len(corners)}h", *xs, *ys)


def save(path, **members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.roi", content)
    return path


def test_a_rectangle_has_the_pixels_that_imagej_fills(tmp_path):
    path = tmp_path / "a.roi"
    path.write_bytes(roi(RECTANGLE, 1, 2, 3, 5))
    assert read_outlines(path, (4, 6)).tolist() == [[0] * 6, [0, 0, 1, 1, 1, 0], [0, 0, 1, 1, 1, 0], [0] * 6]


def test_corners_of_a_polygon_count_from_its_box(tmp_path):
    path = tmp_path / "a.roi"
    path.write_bytes(roi(POLYGON, 1, 2, 3, 4, [(0, 0), (2, 0), (2, 2), (0, 2)]))
    assert read_imagej(path)[0].parts[0][0].tolist() == [[2, 1], [4, 1], [4, 3], [2, 3]]


def test_an_oval_is_round(tmp_path):
    path = tmp_path / "a.roi"
    path.write_bytes(roi(OVAL, 0, 10, 40, 30))
    inside = read_outlines(path, (40, 40)) == 1
    rows, columns = np.mgrid[:40, :40] + 0.5
    exact = ((columns - 20) / 10) ** 2 + ((rows - 20) / 20) ** 2 <= 1
    assert (inside != exact).mean() < 0.02
    assert inside.sum() == pytest.approx(np.pi * 200, rel=0.02)


def between_pixels(kind, left, top, width, height):
    """Return a rectangle or oval that lies between pixels: its floats stand where a line has its ends."""
    content = bytearray(roi(kind, int(top), int(left), int(top + height), int(left + width), options=128))
    content[18:34] = struct.pack(">4f", left, top, width, height)
    return bytes(content)


def test_a_rectangle_between_pixels_keeps_its_place(tmp_path):
    path = tmp_path / "a.roi"
    path.write_bytes(between_pixels(RECTANGLE, 1.75, 0.25, 2.5, 1.5))
    assert read_imagej(path)[0].parts[0][0].tolist() == [[1.75, 0.25], [4.25, 0.25], [4.25, 1.75], [1.75, 1.75]]
    # Centres from x 1.75 to 4.25 and y 0.25 to 1.75: columns 2 and 3, rows 0 and 1. Its box has columns 1 to 3, row 0.
    assert read_outlines(path, (3, 6)).tolist() == [[0, 0, 1, 1, 0, 0], [0, 0, 1, 1, 0, 0], [0] * 6]


def test_an_oval_between_pixels_keeps_its_place(tmp_path):
    path = tmp_path / "a.roi"
    path.write_bytes(between_pixels(OVAL, 10.25, 0.25, 20.5, 40.5))
    inside = read_outlines(path, (42, 42)) == 1
    rows, columns = np.mgrid[:42, :42] + 0.5
    exact = ((columns - 20.5) / 10.25) ** 2 + ((rows - 20.5) / 20.25) ** 2 <= 1
    assert (inside != exact).mean() < 0.002
    np.testing.assert_array_equal(inside[:41, :41], inside[:41, :41][::-1, ::-1])  # about its centre, 20.5


def test_one_without_size_is_refused(tmp_path):
    path = tmp_path / "a.roi"
    path.write_bytes(between_pixels(RECTANGLE, 2.2, 0.2, 0.1, 0.1))
    with pytest.raises(DataError, match=r"covers no pixel of its image: it reaches from x 2\.2 to 2\.3"):
        read_outlines(path, (3, 6))


def test_a_composite_area_has_its_hole(tmp_path):
    """A ShapeRoi: its path as floats, 0 to move, 1 for a line, 4 to close."""
    rings = ([(1, 0), (5, 0), (5, 3), (1, 3)], [(2, 1), (4, 1), (4, 2), (2, 2)])
    path = [
        number for ring in rings for number in (0, *ring[0], *(each for corner in ring[1:] for each in (1, *corner)), 4)
    ]
    head = bytearray(roi(RECTANGLE, 0, 1, 3, 5))
    head[36:40] = struct.pack(">i", len(path))
    file = tmp_path / "a.roi"
    file.write_bytes(bytes(head) + struct.pack(f">{len(path)}f", *path))
    assert read_outlines(file, (3, 6)).tolist() == [[0, 1, 1, 1, 1, 0], [0, 1, 0, 0, 1, 0], [0, 1, 1, 1, 1, 0]]


def test_a_zip_holds_objects_in_its_order(tmp_path):
    path = save(tmp_path / "a.zip", second=roi(RECTANGLE, 0, 1, 1, 2), first=roi(RECTANGLE, 0, 0, 1, 1))
    assert read_outlines(path, (1, 3)).tolist() == [[2, 1, 0]]
    assert [outline.name for outline in read_imagej(path)] == ["second.roi", "first.roi"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "does not begin with 'Iout'"),
        (b"Iout\x00", "cannot be read as ImageJ ROI"),
        (roi(POINT, 0, 0, 1, 1, [(0, 0)]), "is a point, which has no area"),
        (roi(RECTANGLE, 0, 0, 1, 1, subtype=1) + bytes(32), "is a text, which has no area"),
        (roi(POLYGON, 0, 0, 1, 1, [(0, 0), (1, 1)]), "fewer than three corners"),
    ],
)
def test_what_is_no_area_is_refused_by_name(tmp_path, content, reason):
    path = save(tmp_path / "a.zip", good=roi(RECTANGLE, 0, 0, 1, 1), bad=content)
    with pytest.raises(DataError, match=rf"a\.zip: bad\.roi.*{reason}"):
        read_imagej(path)


def test_other_files_in_a_zip_are_refused(tmp_path):
    path = save(tmp_path / "a.zip", good=roi(RECTANGLE, 0, 0, 1, 1))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("mask.png", b"")
    with pytest.raises(DataError, match="1 ImageJ ROIs and 1 other files"):
        read_imagej(path)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(DataError, match=r"a\.zip cannot be read as ZIP"):
        read_imagej(path)


def test_a_zip_that_would_fill_the_memory_is_refused(tmp_path):
    path = tmp_path / "a.zip"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.roi", "w", force_zip64=True) as out,
    ):
        for _ in range(600):
            out.write(bytes(2**20))
    with pytest.raises(DataError, match=r"a\.zip claims 629,145,600 bytes"):
        read_imagej(path)


def test_outlines_on_several_slices_are_refused(tmp_path):
    slices = {f"s{number}": roi(RECTANGLE, 0, number, 1, number + 1, position=number) for number in (1, 2)}
    with pytest.raises(DataError, match="on 2 slices"):
        read_imagej(save(tmp_path / "a.zip", **slices))
