import logging

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segdistill.data.readers import open_image, read_image
from segdistill.errors import DataError, SegdistillError

RANDOM = np.random.default_rng(0)
PLANE = RANDOM.integers(0, 4000, (120, 150), dtype=np.uint16)
STACK = RANDOM.integers(0, 4000, (12, 120, 150), dtype=np.uint16)
CYX = {"axes": "CYX"}

LAYOUTS = {
    "strip": (PLANE, {}),
    "strip, zlib": (PLANE, {"compression": "zlib"}),
    "strip, lzw": (PLANE, {"compression": "lzw"}),
    "tile": (PLANE, {"tile": (64, 64)}),
    "tile, zlib": (PLANE, {"tile": (64, 64), "compression": "zlib"}),
    "imagej": (STACK, {"imagej": True, "metadata": CYX}),
    "ome": (STACK, {"ome": True, "metadata": CYX}),
    "ome, zlib": (STACK, {"ome": True, "metadata": CYX, "compression": "zlib"}),
    "ome, tile, zlib": (STACK, {"ome": True, "metadata": CYX, "compression": "zlib", "tile": (64, 64)}),
    "shaped": (STACK, {"metadata": CYX}),
    "shaped, zlib": (STACK, {"metadata": CYX, "compression": "zlib"}),
    "pages": (STACK, {"metadata": None}),
    "pages, zlib": (STACK, {"metadata": None, "compression": "zlib"}),
}


@pytest.fixture(autouse=True)
def _quiet():
    """Keep what tifffile logs of damaged files out of the report."""
    logger = logging.getLogger("tifffile")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(level)


def write(path, layout):
    array, options = LAYOUTS[layout]
    tifffile.imwrite(path, array, photometric="minisblack", **options)
    return None if array.ndim == 2 or options["metadata"] else "cyx"


@pytest.mark.parametrize("kept", [0.001, 0.1, 0.6, 0.9, 0.99, 0.9999])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_cut_file_is_refused(tmp_path, layout, kept):
    path = tmp_path / "a.tif"
    axes = write(path, layout)
    assert np.array_equal(read_image(path, axes=axes).array.reshape(LAYOUTS[layout][0].shape), LAYOUTS[layout][0])
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(DataError, match=r"a\.tif"):
        read_image(path, axes=axes)


def test_a_cut_imagej_stack_says_what_was_expected_and_found(tmp_path):
    path = tmp_path / "a.tif"
    write(path, "imagej")
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * 0.6)])
    assert len(tifffile.imread(path).shape) == 2, "tifffile itself returns one plane of twelve"
    with pytest.raises(DataError, match="found 1 pages of the 12 planes listed"):
        open_image(path)


def test_a_cut_file_of_compressed_tiles_says_where(tmp_path):
    path = tmp_path / "a.tif"
    write(path, "tile, zlib")
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * 0.6)])
    with pytest.raises(DataError, match="3 of its 6 tiles or strips lie beyond the end"):
        open_image(path)


@pytest.mark.parametrize("layout", ["strip, zlib", "strip, lzw", "tile, zlib", "ome, tile, zlib"])
def test_overwritten_bytes_of_compressed_pixels_are_refused(tmp_path, layout):
    path = tmp_path / "a.tif"
    write(path, layout)
    with tifffile.TiffFile(path) as file:
        start = file.pages.first.dataoffsets[0]
    data = bytearray(path.read_bytes())
    data[start + 500 : start + 4500] = b"\x55" * 4000
    path.write_bytes(data)
    with pytest.raises(DataError, match="cannot be read as TIFF"):
        read_image(path)


def forge(path, **tags):
    codes = {"width": 256, "length": 257, "rows": 278}
    with tifffile.TiffFile(path, mode="r+") as file:
        for name, value in tags.items():
            file.pages.first.tags[codes[name]].overwrite(value)


@pytest.mark.parametrize("stored", [{}, {"compression": "zlib"}, {"rowsperstrip": 16}, {"tile": (64, 64)}])
def test_a_header_that_claims_40_gb_is_refused(tmp_path, stored):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PLANE.astype(np.uint8), photometric="minisblack", metadata=None, **stored)
    forge(path, width=200_000, length=200_000)
    with pytest.raises(
        DataError, match=r"a\.tif.*(claims 40,000,000,000 bytes.*the file holds 18,000|lists \d of the)"
    ):
        open_image(path)


def test_one_strip_that_claims_40_gb_is_refused(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PLANE, photometric="minisblack", metadata=None, compression="zlib")
    forge(path, width=200_000, length=200_000, rows=200_000)
    with pytest.raises(DataError, match="claims 80,000,000,000 bytes of pixels, but the file holds"):
        open_image(path)


@pytest.mark.parametrize("stored", [{}, {"compression": "zlib"}])
def test_a_few_rows_too_many_are_refused(tmp_path, stored):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PLANE, photometric="minisblack", metadata=None, **stored)
    forge(path, length=130, rows=130)
    with pytest.raises(DataError, match=r"a\.tif"):
        read_image(path)


def test_tiles_of_no_bytes_are_refused_unless_declared_empty(tmp_path):
    path = tmp_path / "a.tif"
    full = np.full((64, 64), 7, np.uint16)
    tiles = (full if place in {0, 3} else None for place in range(6))
    tifffile.imwrite(
        path, tiles, shape=(120, 150), dtype="u2", tile=(64, 64), compression="zlib", photometric="minisblack"
    )
    with pytest.raises(DataError, match=r"leaves out 4 of its 6 tiles.*--fill-missing"):
        open_image(path)
    image = read_image(path, fill_missing=True)
    expected = np.zeros((120, 150))
    expected[:64, :64] = expected[64:, :64] = 7
    assert np.array_equal(image.array[0], expected)


@pytest.mark.parametrize("content", [b"", b"II*\0", b"not a picture at all", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_tiff_is_refused(tmp_path, content):
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(DataError, match="cannot be read as TIFF"):
        open_image(tmp_path / "a.tif")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(layout=st.sampled_from(sorted(LAYOUTS)), place=st.floats(0, 1), noise=st.binary(min_size=1, max_size=40))
@pytest.mark.filterwarnings("ignore")
def test_no_damage_escapes_as_anything_but_a_refusal(tmp_path, layout, place, noise):
    # Overwritten anywhere, headers and metadata included: an image of the stated shape, or a refusal.
    path = tmp_path / "a.tif"
    axes = write(path, layout)
    data = bytearray(path.read_bytes())
    start = int(place * (len(data) - len(noise)))
    # Most of a file is pixels; half of the examples go to the header.
    start = start % 600 if len(noise) % 2 else start
    data[start : start + len(noise)] = noise
    path.write_bytes(data)
    try:
        with open_image(path, axes=axes) as image:
            shape = image.shape
            if np.prod(shape) < 1e7:
                assert image.read().shape == shape
    except SegdistillError:
        pass
