import struct
import zlib

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from segdistill.data.labels import LabelSet, Structure, output_names, planes, read_labels, structures_of
from segdistill.errors import ConfigError, DataError

law = settings(deadline=None, max_examples=50)
CELLS = LabelSet("cell", "instances", ("cell",))
LABELS = np.array([[0, 1, 1, 0, 3], [0, 0, 2, 2, 3], [0, 0, 0, 0, 3]])


def save(path, array):
    if path.suffix == ".npy":
        np.save(path, array)
    elif path.suffix in {".tif", ".tiff"}:
        tifffile.imwrite(path, array)
    else:
        Pillow.fromarray(array).save(path)
    return path


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("a.png", np.uint8),
        ("a.png", np.uint16),
        ("a.PNG", np.uint8),
        ("a.gif", np.uint8),
        ("a.bmp", np.uint8),
        ("a.tif", np.uint8),
        ("a.tif", np.uint16),
        ("a.tif", np.uint32),
        ("a.tif", np.int64),
        ("a.tif", ">u2"),
        ("a.tif", np.float32),
        ("a.npy", np.uint64),
        ("a.npy", np.float64),
    ],
)
def test_every_format_and_type_says_the_same(tmp_path, name, dtype):
    read = read_labels(save(tmp_path / name, LABELS.astype(dtype)))
    assert read.dtype == np.int32
    assert (read == LABELS).all()


def test_a_one_bit_mask_is_nothing_or_something(tmp_path):
    mask = LABELS > 1
    Pillow.fromarray(mask).save(tmp_path / "a.png")
    assert ((read_labels(tmp_path / "a.png") > 0) == mask).all()


@pytest.mark.parametrize("name", ["voc.png", "voc.gif", "voc.bmp"])
def test_the_indices_of_a_palette_are_the_labels(tmp_path, name):
    picture = Pillow.fromarray(LABELS.astype(np.uint8)).convert("P")
    picture.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0])
    picture.save(tmp_path / name)
    assert (read_labels(tmp_path / name) == LABELS).all()


def test_more_than_65535_objects_keep_their_numbers(tmp_path):
    many = np.arange(1_001_000, dtype=np.uint32).reshape(1000, 1001)[:, ::-1]
    read = read_labels(save(tmp_path / "many.tif", many))
    assert (read == many).all()
    assert len(np.unique(planes(read, CELLS)[0])) == 1_001_000


def test_numbers_beyond_32_bits_are_read_and_renumbered_in_their_order(tmp_path):
    huge = np.array([[0, 2**40, 7], [2**33, 2**33, 7]])
    read = read_labels(save(tmp_path / "huge.npy", huge))
    assert read.dtype == np.int64
    assert planes(read, CELLS)[0].tolist() == [[0, 3, 1], [2, 2, 1]]


def test_a_grey_picture_saved_as_colour_is_taken(tmp_path):
    grey = np.repeat(LABELS.astype(np.uint8)[..., None], 3, axis=2)
    assert (read_labels(save(tmp_path / "a.png", grey)) == LABELS).all()


def test_colours_are_refused(tmp_path):
    colours = np.zeros((3, 5, 3), np.uint8)
    colours[0, 0] = (255, 0, 0)
    with pytest.raises(DataError, match=r"a\.png has 3 channels that differ.*class numbers"):
        read_labels(save(tmp_path / "a.png", colours))


def test_compression_with_loss_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"a\.JPG is compressed with loss"):
        read_labels(tmp_path / "a.JPG")


def test_jpegs_under_other_names_are_refused(tmp_path):
    Pillow.fromarray(LABELS.astype(np.uint8)).save(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").rename(tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "a.tif", LABELS.astype(np.uint8), compression="jpeg")
    for name in ("a.png", "a.tif"):
        with pytest.raises(DataError, match=rf"{name} is compressed with loss.*JPEG"):
            read_labels(tmp_path / name)
    tifffile.imwrite(tmp_path / "whole.tif", LABELS.astype(np.uint8), compression="jpeg2000")  # keeps every number
    assert (read_labels(tmp_path / "whole.tif") == LABELS).all()


@pytest.mark.parametrize("bits", [2, 4])
def test_greys_of_few_bits_of_which_programs_make_different_numbers_are_refused(tmp_path, bits):
    with pytest.raises(DataError, match=rf"a\.png has greys of {bits} bits"):
        read_labels(few_bits(tmp_path / "a.png", LABELS, bits))
    mask = 3 * (LABELS > 1)  # one number: whichever it is, it means what is there
    assert ((read_labels(few_bits(tmp_path / "b.png", mask, bits)) > 0) == (mask > 0)).all()


def few_bits(path, array, bits):
    """Write a grey PNG of few bits, which pillow cannot."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    texts = ["".join(f"{value:0{bits}b}" for value in row) for row in array.tolist()]
    rows = [text + "0" * (-len(text) % 8) for text in texts]
    data = b"".join(b"\0" + int(row, 2).to_bytes(len(row) // 8, "big") for row in rows)
    head = struct.pack(">IIBBBBB", array.shape[1], array.shape[0], bits, 0, 0, 0, 0)
    parts = (chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(data)), chunk(b"IEND", b""))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    return path


@pytest.mark.parametrize("wrong", [0.5, np.nan, np.inf])
def test_fractions_are_refused_with_their_number(tmp_path, wrong):
    maps = LABELS.astype(np.float32)
    maps[0, :2] = wrong
    with pytest.raises(DataError, match=r"a\.npy holds 2 pixels that are no whole numbers, such as (0\.5|nan|inf)"):
        read_labels(save(tmp_path / "a.npy", maps))


def test_floats_too_large_to_tell_apart_are_refused(tmp_path):
    # float32 has 24 bits: 2**24 and 2**24 + 1 are the same number.
    fits, lost = np.float32([[2**24, 0]]), np.float32([[2**24 + 2, 0]])
    assert read_labels(save(tmp_path / "fits.npy", fits)).tolist() == [[2**24, 0]]
    with pytest.raises(DataError, match=r"float32 labels up to 16777218.*up to 16777216"):
        read_labels(save(tmp_path / "lost.npy", lost))


def test_negative_numbers_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"negative numbers \(2 pixels, lowest -7\)"):
        read_labels(save(tmp_path / "a.tif", np.int16([[0, -1, -7], [1, 2, 3]])))


def test_numbers_beyond_64_bits_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"9223372036854775808.*above 2\*\*63"):
        read_labels(save(tmp_path / "a.npy", np.array([[2**63, 0]], dtype=np.uint64)))


def test_a_stack_of_frames_is_refused(tmp_path):
    frames = [Pillow.fromarray(LABELS.astype(np.uint8) + step).convert("P") for step in range(2)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(DataError, match="2 frames"):
        read_labels(tmp_path / "a.gif")


@pytest.mark.parametrize("name", ["cut.png", "cut.gif", "cut.tif"])
@pytest.mark.parametrize("share", [0.1, 0.6, 0.9])
def test_a_file_cut_short_is_refused_by_name(tmp_path, name, share):
    noise = np.random.default_rng(0).integers(0, 255, (60, 70)).astype(np.uint8)
    path = save(tmp_path / name, noise)
    if path.suffix != ".tif":  # with a palette: those are decoded here, not by the readers
        picture = Pillow.fromarray(noise).convert("P")
        picture.save(path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(DataError, match=path.name):
        read_labels(path)


def test_a_forged_palette_picture_is_refused(tmp_path):
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 50_000, 50_000, 8, 3, 0, 0, 0))
    data = chunk(b"PLTE", bytes(6)) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + head + data)
    with pytest.raises(DataError, match=r"bomb\.png"):
        read_labels(tmp_path / "bomb.png")


def test_a_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(DataError, match=r"no file .*gone\.png"):
        read_labels(tmp_path / "gone.png")


def test_instances_keep_their_numbers_and_their_pieces():
    torn = np.array([[4, 0, 4], [0, 9, 9]])
    assert planes(torn, CELLS).tolist() == [torn.tolist()]


def test_binary_is_one_whatever_the_number():
    mask = LabelSet("vessel", "binary", ("vessel",))
    assert planes(np.array([[0, 255, 255]]), mask).tolist() == [[[0, 1, 1]]]
    assert planes(np.array([[0, 1, 0]], dtype=np.uint8), mask).tolist() == [[[0, 1, 0]]]
    assert planes(np.zeros((1, 3), np.int32), mask).tolist() == [[[0, 0, 0]]]


def test_binary_with_two_values_is_refused_by_name():
    with pytest.raises(DataError, match=r"a\.png holds 2 values besides 0 \(128, 255\)"):
        planes(np.array([[0, 128, 255]]), LabelSet("vessel", "binary", ("vessel",)), source="a.png")


def test_classes_exclude_each_other():
    organs = LabelSet("organ", "classes", ("liver", "spleen"), (5, 2))
    assert planes(np.array([[0, 5, 2, 5]]), organs)[:, 0].tolist() == [[0, 1, 0, 1], [0, 0, 1, 0]]


def test_bits_overlap():
    # 1 | 4 = 5 is both organs.
    organs = LabelSet("organ", "bits", ("lung", "heart"), (1, 4))
    assert planes(np.array([[0, 1, 4, 5]], dtype=np.uint8), organs)[:, 0].tolist() == [[0, 1, 0, 1], [0, 0, 1, 1]]


@pytest.mark.parametrize(("kind", "values"), [("classes", (1, 4)), ("bits", (1, 4))])
def test_unknown_values_are_refused_by_name(kind, values):
    label_set = LabelSet("organ", kind, ("lung", "heart"), values)
    with pytest.raises(DataError, match=rf"a\.png holds the values 2, 8, but the {kind} of label set 'organ' are 1, 4"):
        planes(np.array([[0, 1, 2, 8]]), label_set, source="a.png")


@law
@given(st.integers(1, 255), st.integers(0, 2**16))
def test_bits_are_the_sum_of_their_planes(every, seed):
    values = tuple(1 << bit for bit in range(8) if every >> bit & 1)
    labels = np.random.default_rng(seed).integers(0, 256, (3, 7)) & every
    parts = planes(labels, LabelSet("s", "bits", tuple(map(str, values)), values))
    assert (sum(value * part for value, part in zip(values, parts, strict=True)) == labels).all()


def test_output_names_follow_their_structures():
    structures = (Structure("cell", True), Structure("vessel", False), Structure("nucleus", True))
    assert output_names(structures) == ("cell", "cell.boundary", "vessel", "nucleus", "nucleus.boundary")


@pytest.mark.parametrize("name", ["", "  ", "cell.boundary", "a/b", "a\\b"])
def test_names_that_cannot_be_files_or_outputs_are_refused(name):
    with pytest.raises(ConfigError, match="cannot be called"):
        Structure(name, True)


def test_two_structures_of_one_name_are_refused():
    with pytest.raises(ConfigError, match="called cell"):
        structures_of([CELLS, LabelSet("other", "bits", ("lung", "cell"), (1, 2))])


@pytest.mark.parametrize(
    ("kind", "structures", "values"),
    [
        ("instances", ("a", "b"), ()),
        ("binary", ("a",), (255,)),
        ("classes", ("a",), (1, 2)),
        ("classes", ("a", "b"), (1, 1)),
        ("classes", ("a",), (0,)),
        ("bits", ("a", "b"), (1, 3)),
    ],
)
def test_label_sets_that_contradict_themselves_are_refused(kind, structures, values):
    with pytest.raises(ConfigError, match="Label set 's'"):
        LabelSet("s", kind, structures, values)
