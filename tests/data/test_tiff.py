import subprocess
import sys
import textwrap

import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

from segdistill.data.readers import open_image, read_image
from segdistill.errors import DataError

RANDOM = np.random.default_rng(0)
PLANE = RANDOM.integers(0, 4000, (120, 150), dtype=np.uint16)
STACK = RANDOM.integers(0, 4000, (3, 120, 150), dtype=np.uint16)
WINDOW = (slice(30, 101), slice(60, 150))


def write(path, array, **options):
    """Write a TIFF; grey unless said otherwise."""
    tifffile.imwrite(path, array, **{"photometric": "minisblack", **options})
    return path


def ome(path, array, axes="CYX", **metadata):
    return write(path, array, ome=True, metadata={"axes": axes, **metadata})


@pytest.mark.parametrize("suffix", ["tif", "TIF", "tiff", "Tiff"])
def test_one_plane(tmp_path, suffix):
    image = read_image(write(tmp_path / f"ä 🙂.{suffix}", PLANE))
    assert np.array_equal(image.array, PLANE[None])
    assert (image.channels, image.pixel_size) == (("channel0",), None)


STORED = {
    "plain": {},
    "strips": {"rowsperstrip": 17},
    "strips, zlib": {"compression": "zlib", "rowsperstrip": 16},
    "strips, lzw": {"compression": "lzw", "rowsperstrip": 16},
    "tiles": {"tile": (32, 48)},
    "tiles, predictor": {"tile": (32, 48), "compression": "zlib", "predictor": True},
    "big-endian": {"byteorder": ">"},
    "big-endian tiles": {"byteorder": ">", "compression": "zlib", "tile": (32, 48)},
    "ome": {"bigtiff": True, "ome": True},
}
TYPES = ["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8"]
IMPOSSIBLE = {("ome", "u8"), ("ome", "i8"), ("ome", "f2"), ("tiles, predictor", "u8"), ("tiles, predictor", "i8")}


@pytest.mark.parametrize(
    ("stored", "dtype"), [(one, kind) for one in STORED for kind in TYPES if (one, kind) not in IMPOSSIBLE]
)
def test_every_type_and_storage_comes_back_in_this_machines_order(tmp_path, stored, dtype):
    values = STACK.astype(dtype)
    path = write(tmp_path / "a.tif", values, metadata={"axes": "CYX"}, **STORED[stored])
    with open_image(path) as image:
        assert image.dtype == np.dtype(dtype)
        assert image.dtype.isnative
        assert np.array_equal(image.read(), values)
        window = image.read(WINDOW)
        assert window.dtype == image.dtype
        assert window.flags.c_contiguous
        assert np.array_equal(window, values[:, *WINDOW])


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (7, 13)])
@pytest.mark.parametrize("stored", [{}, {"tile": (32, 48), "compression": "zlib"}])
def test_thin_images(tmp_path, shape, stored):
    values = np.arange(3 * shape[0] * shape[1], dtype=np.uint16).reshape(3, *shape)
    assert np.array_equal(read_image(ome(tmp_path / "a.tif", values)).array, values)
    assert np.array_equal(read_image(write(tmp_path / "b.tif", values[1], **stored)).array, values[1:2])


@pytest.mark.filterwarnings("ignore:.*zero-size")
def test_images_without_pixels_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"a\.tif"):
        read_image(write(tmp_path / "a.tif", np.zeros((0, 5), np.uint8)))


def test_bool_and_complex(tmp_path):
    assert np.array_equal(read_image(write(tmp_path / "a.tif", PLANE > 9)).array[0], np.where(PLANE > 9, 255, 0))
    with pytest.raises(DataError, match="complex64"):
        read_image(write(tmp_path / "b.tif", PLANE.astype(np.complex64)))


def test_ome_names_and_pixel_size(tmp_path):
    path = ome(
        tmp_path / "a.ome.tif",
        STACK,
        Channel={"Name": ["DAPI", "488", "mCherry"]},
        PhysicalSizeX=325.0,
        PhysicalSizeXUnit="nm",
        PhysicalSizeY=0.325,
        PhysicalSizeYUnit="µm",
    )
    image = read_image(path)
    assert np.array_equal(image.array, STACK)
    assert image.channels == ("DAPI", "488", "mCherry")
    assert image.pixel_size == pytest.approx(0.325)
    assert read_image(path, channels=["n", "m", "c"]).channels == ("n", "m", "c")


def named(path, *names):
    return ome(path, STACK[: len(names)], Channel={"Name": list(names)})


@pytest.mark.parametrize("given", [["membrane", "nucleus"], ["Membrane", "Nucleus"], ["actin", "nucleus"]])
def test_a_name_that_the_file_gives_to_another_channel_is_refused(tmp_path, given):
    path = named(tmp_path / "a.ome.tif", "nucleus", "membrane")
    with pytest.raises(DataError, match=r"a.ome.tif names its channels itself: nucleus, membrane\..*Leave out"):
        read_image(path, channels=given)


def test_names_in_place_of_the_files_are_kept_beside_them(tmp_path):
    path = named(tmp_path / "a.ome.tif", "DAPI", "membrane")
    image = read_image(path, channels=["nucleus", "membrane"])
    assert (image.channels, image.stated) == (("nucleus", "membrane"), ("DAPI", "membrane"))


@pytest.mark.parametrize("given", [None, ["dapi", "membrane"]])
def test_names_that_are_the_files_own_replace_none(tmp_path, given):
    assert read_image(named(tmp_path / "a.ome.tif", "DAPI", "membrane"), channels=given).stated == ()


def test_ome_without_a_unit_means_micrometres_and_without_names_counts(tmp_path):
    image = read_image(ome(tmp_path / "a.ome.tif", STACK, PhysicalSizeX=0.5, PhysicalSizeY=0.5))
    assert (image.pixel_size, image.channels) == (0.5, ("c0", "c1", "c2"))
    assert read_image(ome(tmp_path / "b.ome.tif", STACK, PhysicalSizeX=0.5)).pixel_size is None


def test_pixels_that_are_not_square_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"0\.6 µm along y and 0\.5 µm along x"):
        open_image(ome(tmp_path / "a.ome.tif", STACK, PhysicalSizeX=0.5, PhysicalSizeY=0.6))


@pytest.mark.parametrize("axes", ["TCZYX", "ZCTYX", "CTZYX"])
def test_axes_of_length_one_are_dropped(tmp_path, axes):
    places = [axes.index(letter) for letter in "TZ"]
    image = read_image(ome(tmp_path / "a.ome.tif", np.expand_dims(STACK, tuple(places)), axes=axes))
    assert np.array_equal(image.array, STACK)


@pytest.mark.parametrize(
    ("axes", "why"), [("ZYX", r"project the stack.*--axes"), ("TYX", r"holds 3 frames, but one image is one plane")]
)
def test_stacks_and_films_are_refused_unless_said_to_be_channels(tmp_path, axes, why):
    path = ome(tmp_path / "a.ome.tif", STACK, axes=axes)
    with pytest.raises(DataError, match=why):
        read_image(path)
    assert np.array_equal(read_image(path, axes="cyx", channels=["a", "b", "c"]).array, STACK)


def test_imagej_labels_and_pixel_size(tmp_path):
    path = write(
        tmp_path / "a.tif",
        STACK,
        imagej=True,
        resolution=(4.0, 4.0),
        metadata={"axes": "CYX", "Labels": ["DAPI", "actin", "ER"], "unit": "um"},
    )
    image = read_image(path)
    assert np.array_equal(image.array, STACK)
    assert (image.channels, image.pixel_size) == (("DAPI", "actin", "ER"), 0.25)
    with pytest.raises(DataError, match="depth"):
        read_image(write(tmp_path / "z.tif", STACK, imagej=True, metadata={"axes": "ZYX"}))


def test_imagej_spells_the_micro_sign(tmp_path):
    path = write(tmp_path / "a.tif", PLANE, imagej=True, resolution=(2.0, 2.0), metadata={"unit": "\\u00B5m"})
    assert read_image(path).pixel_size == 0.5
    path = write(tmp_path / "b.tif", PLANE, imagej=True, resolution=(2.0, 2.0), metadata={"unit": "pixel"})
    assert read_image(path).pixel_size is None
    path = write(tmp_path / "c.tif", PLANE, imagej=True, resolution=(72.0, 72.0), metadata={"unit": "inch"})
    assert read_image(path).pixel_size is None


def test_resolution_tags(tmp_path):
    fine = write(tmp_path / "a.tif", PLANE, resolution=(20_000, 20_000), resolutionunit="CENTIMETER")
    assert read_image(fine).pixel_size == 0.5
    screen = write(tmp_path / "b.tif", PLANE, resolution=(72, 72), resolutionunit="INCH")
    assert read_image(screen).pixel_size is None
    oblong = write(tmp_path / "c.tif", PLANE, resolution=(20_000, 25_000), resolutionunit="CENTIMETER")
    with pytest.raises(DataError, match=r"0\.4 µm along y and 0\.5 µm along x"):
        read_image(oblong)


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_rgb_is_red_green_blue(tmp_path, planar):
    colours = STACK if planar == "separate" else np.moveaxis(STACK, 0, -1)
    path = write(tmp_path / "a.tif", np.ascontiguousarray(colours), photometric="rgb", planarconfig=planar)
    image = read_image(path)
    assert np.array_equal(image.array, STACK)
    assert image.channels == ("red", "green", "blue")
    with open_image(path) as opened:
        assert np.array_equal(opened.read(WINDOW), STACK[:, *WINDOW])


def test_alpha_is_dropped_if_constant_else_refused(tmp_path):
    colours = np.moveaxis(STACK, 0, -1).astype(np.uint8)
    alpha = np.full((120, 150, 1), 255, np.uint8)
    path = write(tmp_path / "a.tif", np.concatenate([colours, alpha], axis=2), photometric="rgb", tile=(64, 64))
    image = read_image(path)
    assert np.array_equal(image.array, STACK.astype(np.uint8))
    assert image.channels == ("red", "green", "blue")
    alpha[100:, 100:] = 0
    varied = write(tmp_path / "b.tif", np.concatenate([colours, alpha], axis=2), photometric="rgb", tile=(64, 64))
    with pytest.raises(DataError, match="alpha channel that varies"):
        read_image(varied)
    with open_image(varied) as opened:
        opened.read((slice(0, 64), slice(0, 64)))
        with pytest.raises(DataError, match="alpha channel that varies"):
            opened.read((slice(100, 120), slice(100, 150)))


def test_an_ome_channel_of_three_samples_is_rgb(tmp_path):
    colours = np.ascontiguousarray(np.moveaxis(STACK, 0, -1))
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, colours, ome=True, photometric="rgb", metadata={"axes": "YXS"})
    image = read_image(path)
    assert image.channels == ("red", "green", "blue")
    assert np.array_equal(image.array, STACK)


@pytest.mark.parametrize(
    ("array", "options"),
    [
        (STACK, {}),  # (3, y, x): three planes, or three rows of something
        (np.ascontiguousarray(np.moveaxis(STACK, 0, -1)), {}),  # (y, x, 3) said to be grey
        (STACK, {"metadata": None}),  # pages with no metadata at all
        (np.stack([STACK] * 2), {}),
        (np.stack([STACK] * 2)[None], {}),
    ],
)
def test_axes_that_nothing_states_are_refused(tmp_path, array, options):
    with pytest.raises(DataError, match=r"nothing says which axis is which.*--axes"):
        open_image(write(tmp_path / "a.tif", array, **options))


def test_the_user_states_axes(tmp_path):
    path = write(tmp_path / "a.tif", STACK, metadata=None)
    assert np.array_equal(read_image(path, axes="cyx").array, STACK)
    path = write(tmp_path / "b.tif", np.ascontiguousarray(np.moveaxis(STACK, 0, -1)))
    assert np.array_equal(read_image(path, axes="yxc").array, STACK)
    path = write(tmp_path / "c.tif", STACK[None])
    assert np.array_equal(read_image(path, axes="zcyx").array, STACK)


def pillow_tiff(path, mode, **options):
    Pillow.fromarray(RANDOM.integers(0, 255, (7, 13, 3), dtype=np.uint8)).convert(mode).save(path, **options)
    return path


def test_what_is_neither_grey_nor_rgb_is_refused_by_name(tmp_path):
    with pytest.raises(DataError, match="CMYK"):
        read_image(pillow_tiff(tmp_path / "a.tif", "CMYK"))
    with pytest.raises(DataError, match="PALETTE"):
        read_image(pillow_tiff(tmp_path / "b.tif", "P"))
    with pytest.raises(DataError, match="MINISWHITE"):
        read_image(write(tmp_path / "c.tif", PLANE, photometric="miniswhite"))
    with pytest.raises(DataError, match="orientation 3"):
        read_image(write(tmp_path / "d.tif", PLANE, extratags=[(274, 3, 1, 3, True)]))


def test_pillows_tiffs_are_read(tmp_path):
    assert read_image(pillow_tiff(tmp_path / "a.tif", "1")).array.max() == 255
    assert read_image(pillow_tiff(tmp_path / "b.tif", "LA")).channels == ("channel0",)
    assert read_image(pillow_tiff(tmp_path / "c.tif", "RGB", compression="jpeg")).channels == ("red", "green", "blue")


def test_an_imagej_palette_colours_measured_numbers(tmp_path):
    colours = np.zeros((3, 256), np.uint16)
    colours[2] = np.arange(256) * 257
    values = PLANE.astype(np.uint8)
    path = write(tmp_path / "a.tif", values, imagej=True, photometric="palette", colormap=colours)
    assert np.array_equal(read_image(path).array[0], values)


def test_of_a_pyramid_the_full_resolution_is_read(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as file:
        options = {"tile": (32, 32), "photometric": "minisblack"}
        file.write(STACK, subifds=1, metadata={"axes": "CYX"}, **options)
        file.write(STACK[:, ::2, ::2], subfiletype=1, **options)
    assert np.array_equal(read_image(tmp_path / "a.ome.tif").array, STACK)


def test_several_images_in_a_file_are_refused(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as file:
        file.write(STACK, metadata={"axes": "CYX"}, photometric="minisblack")
        file.write(PLANE[:50], metadata={"axes": "YX"}, photometric="minisblack")
    with pytest.raises(DataError, match=r"2 images.*3×120×150, 50×150"):
        read_image(tmp_path / "a.ome.tif")


def test_thumbnails_are_no_second_image(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(PLANE, metadata=None, photometric="minisblack")
        file.write(PLANE[::4, ::4], metadata=None, photometric="minisblack", subfiletype=1)
    assert np.array_equal(read_image(tmp_path / "a.tif").array[0], PLANE)


def test_one_image_over_several_ome_files(tmp_path):
    template = (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:{me}">'
        '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint16" SizeX="150" SizeY="120"'
        ' SizeC="2" SizeZ="1" SizeT="1"><Channel ID="Channel:0:0" Name="a"/><Channel ID="Channel:0:1" Name="b"/>'
        '<TiffData FirstC="0" IFD="0" PlaneCount="1"><UUID FileName="0.ome.tif">urn:uuid:0</UUID></TiffData>'
        '<TiffData FirstC="1" IFD="0" PlaneCount="1"><UUID FileName="1.ome.tif">urn:uuid:1</UUID></TiffData>'
        "</Pixels></Image></OME>"
    )
    for place in (0, 1):
        path = tmp_path / f"{place}.ome.tif"
        write(path, STACK[place], metadata=None, description=template.format(me=place), tile=(64, 64))
    image = read_image(tmp_path / "0.ome.tif")
    assert image.channels == ("a", "b")
    assert np.array_equal(image.array, STACK[:2])
    (tmp_path / "1.ome.tif").unlink()
    with pytest.raises(DataError, match="1 of the 2 planes"):
        read_image(tmp_path / "0.ome.tif")


def test_a_window_decodes_only_the_tiles_it_touches(tmp_path):
    # Of 6 × 8 tiles all but the one at (64, 96) are overwritten: the window inside it can still be read.
    path = write(tmp_path / "a.tif", np.tile(PLANE, (2, 2))[:192, :256], tile=(32, 32), compression="zlib")
    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        kept = (64 // 32) * 8 + 96 // 32
        places = [place for place in range(48) if place != kept]
        spans = [(page.dataoffsets[place], page.databytecounts[place]) for place in places]
    data = bytearray(path.read_bytes())
    for offset, count in spans:
        data[offset : offset + count] = b"\xff" * count
    path.write_bytes(data)
    with open_image(path) as image:
        assert np.array_equal(image.read((slice(64, 96), slice(96, 128)))[0], np.tile(PLANE, (2, 2))[64:96, 96:128])
        with pytest.raises(DataError, match="cannot be read as TIFF"):
            image.read((slice(63, 96), slice(96, 128)))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="peak memory is read from /proc")
@pytest.mark.parametrize("stored", [{"tile": (256, 256), "compression": "zlib"}, {}])
def test_memory_is_bounded_by_the_window(tmp_path, stored):
    # 72 MiB of pixels, in compressed tiles or as they are; every window is read, one after the other.
    side = 6144
    path = tmp_path / "large.tif"
    if stored:
        tile = np.eye(256, dtype=np.uint8)
        tifffile.imwrite(path, (tile for _ in range(2 * 24 * 24)), shape=(2, side, side), dtype="u1", ome=True,
                         photometric="minisblack", metadata={"axes": "CYX"}, **stored)  # fmt: skip
    else:
        tifffile.imwrite(path, shape=(2, side, side), dtype="u1", photometric="minisblack", metadata={"axes": "CYX"})
    program = """
        import re, sys
        from pathlib import Path
        from segdistill.data.readers import open_image
        peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
        with open_image(Path(sys.argv[1])) as image:
            image.read((slice(0, 512), slice(0, 512)))
            before = peak()
            for y in range(0, 6144, 512):
                for x in range(0, 6144, 1024):
                    image.read((slice(y, y + 512), slice(x, x + 1024)))
        print(peak() - before)
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), str(path)], capture_output=True, text=True, check=True
    )
    assert int(run.stdout) < 20_000  # KiB; the image has 73,728
