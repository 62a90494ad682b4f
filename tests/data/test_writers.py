import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from segdistill.data.readers import open_image, read_image
from segdistill.data.writers import (
    write_labels,
    write_labels_tiled,
    write_probabilities,
    write_probabilities_tiled,
)
from segdistill.errors import DataError, ShapeError

RANDOM = np.random.default_rng(0)
LABELS = RANDOM.integers(0, 2**32, (300, 530), dtype=np.uint32)
MAPS = RANDOM.random((3, 300, 530), dtype=np.float32)
NAMES = ("cell", "cell.boundary", "nucleus")


def blocks(array, rows, columns):
    """Cut the last two axes at the given places and yield (window, pixels) row by row."""
    height, width = array.shape[-2:]
    for top, bottom in zip([0, *rows], [*rows, height], strict=True):
        for left, right in zip([0, *columns], [*columns, width], strict=True):
            window = (slice(top, bottom), slice(left, right))
            yield window, array[..., *window]


@pytest.mark.parametrize("name", ["a.ome.tif", "a b é 🙂.TIF", "a.tiff"])
@pytest.mark.parametrize("size", [0.5, None])
def test_labels_come_back_with_their_pixel_size(tmp_path, name, size):
    write_labels(tmp_path / name, LABELS, pixel_size=size)
    image = read_image(tmp_path / name)
    assert image.array.dtype == np.uint32
    assert np.array_equal(image.array[0], LABELS)
    assert image.pixel_size == size
    with tifffile.TiffFile(tmp_path / name) as file:
        page = file.pages.first
        assert file.is_ome
        assert page.is_tiled
        assert page.compression == tifffile.COMPRESSION.ADOBE_DEFLATE
        if size:
            assert page.resolution == (20_000, 20_000)
            assert page.resolutionunit == tifffile.RESUNIT.CENTIMETER
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_a_million_labels_survive(tmp_path):
    labels = np.arange(1_000_000, dtype=np.uint32).reshape(800, 1250)
    write_labels(tmp_path / "a.tif", labels)
    assert len(np.unique(read_image(tmp_path / "a.tif").array)) == 1_000_000


def test_equal_labels_give_equal_bytes(tmp_path):
    (tmp_path / "again").mkdir()
    write_labels(tmp_path / "a.tif", LABELS)
    write_labels_tiled(tmp_path / "again" / "a.tif", LABELS.shape, blocks(LABELS, [77, 250], [100, 400]))
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "again" / "a.tif").read_bytes()


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.sets(st.integers(1, 299), max_size=4).map(sorted),
    columns=st.sets(st.integers(1, 529), max_size=4).map(sorted),
)
def test_however_it_is_cut_the_image_is_whole(tmp_path, rows, columns):
    write_labels_tiled(tmp_path / "a.tif", LABELS.shape, blocks(LABELS, rows, columns))
    assert np.array_equal(tifffile.imread(tmp_path / "a.tif"), LABELS)
    write_probabilities_tiled(tmp_path / "b.tif", MAPS.shape[1:], blocks(MAPS, rows, columns), NAMES)
    assert np.array_equal(tifffile.imread(tmp_path / "b.tif"), MAPS)


@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (700, 1), (7, 13), (256, 512)])
def test_thin_and_even_images(tmp_path, shape):
    labels = np.arange(shape[0] * shape[1], dtype=np.uint32).reshape(shape)
    write_labels(tmp_path / "a.tif", labels)
    assert np.array_equal(read_image(tmp_path / "a.tif").array[0], labels)


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint8])
def test_other_integers_are_taken_if_they_are_labels(tmp_path, dtype):
    write_labels(tmp_path / "a.tif", np.array([[0, 1, 200]], dtype))
    assert tifffile.imread(tmp_path / "a.tif").tolist() == [[0, 1, 200]]
    with pytest.raises(DataError, match="from 0 to 4294967296"):
        write_labels(tmp_path / "b.tif", np.array([[0, 2**32]]))
    with pytest.raises(DataError, match="from -1 to 0"):
        write_labels(tmp_path / "b.tif", np.array([[-1, 0]]))
    assert not (tmp_path / "b.tif").exists()


def test_png_holds_sixteen_bits_and_refuses_more(tmp_path):
    labels = np.array([[0, 1, 65_535]], np.uint32)
    write_labels(tmp_path / "a.PNG", labels)
    assert np.array_equal(np.asarray(Pillow.open(tmp_path / "a.PNG")), labels)
    with pytest.raises(DataError, match=r"up to 65,536, but a PNG holds .* 65,535\. Write b\.tif"):
        write_labels(tmp_path / "b.png", labels + 1)
    assert [file.name for file in tmp_path.iterdir()] == ["a.PNG"]


def test_formats_that_lose_labels_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"cannot be written as \.jpg"):
        write_labels(tmp_path / "a.jpg", LABELS)
    with pytest.raises(DataError, match=r"cannot be written as \.png"):
        write_probabilities(tmp_path / "a.png", MAPS, NAMES)


def test_probabilities_come_back_with_their_names(tmp_path):
    write_probabilities(tmp_path / "a.ome.tif", MAPS, NAMES, pixel_size=0.325)
    image = read_image(tmp_path / "a.ome.tif")
    assert image.array.dtype == np.float32
    assert np.array_equal(image.array, MAPS)
    assert image.channels == NAMES
    assert image.pixel_size == pytest.approx(0.325)
    write_probabilities(tmp_path / "half.tif", MAPS.astype(np.float16)[:1], NAMES[:1])
    assert np.array_equal(read_image(tmp_path / "half.tif").array, MAPS.astype(np.float16)[:1].astype(np.float32))
    with pytest.raises(ShapeError, match=r"3 probability maps .* 2 names"):
        write_probabilities(tmp_path / "b.tif", MAPS, NAMES[:2])
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.ome.tif", "half.tif"]


def window(top, bottom, left, right):
    return slice(top, bottom), slice(left, right)


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [window(0, 4, 0, 6)],  # the right part is missing
        [window(0, 4, 0, 6), window(0, 4, 7, 10)],  # a gap
        [window(0, 4, 0, 6), window(0, 4, 5, 10)],  # an overlap
        [window(0, 4, 0, 6), window(0, 3, 6, 10)],  # another height
        [window(4, 8, 0, 10), window(0, 4, 0, 10)],  # another order
        [window(0, 4, 0, 10)],  # the lower part is missing
        [window(0, 4, 0, 10), window(4, 9, 0, 10)],  # too much
        [window(0, 4, 0, 11), window(4, 8, 0, 11)],
    ],
)
def test_a_pixel_that_is_not_given_once_is_an_error_never_a_blank(tmp_path, parts):
    given_blocks = [((y, x), np.ones((y.stop - y.start, x.stop - x.start), np.uint32)) for y, x in parts]
    with pytest.raises(ShapeError, match="must cover 8 × 10 pixels"):
        write_labels_tiled(tmp_path / "a.tif", (8, 10), given_blocks)
    assert list(tmp_path.iterdir()) == []


def test_a_block_of_another_shape_than_its_window_is_an_error(tmp_path):
    with pytest.raises(ShapeError, match=r"of shape \(1, 7, 10\)"):
        write_labels_tiled(tmp_path / "a.tif", (8, 10), [(window(0, 8, 0, 10), np.ones((7, 10), np.uint32))])


def test_images_without_pixels_are_refused(tmp_path):
    for name in ("a.tif", "a.png"):
        with pytest.raises(DataError, match=r"nothing to write to .*a\.(tif|png): the shape is \(0, 5\)"):
            write_labels(tmp_path / name, np.zeros((0, 5), np.uint32))
    assert list(tmp_path.iterdir()) == []


def test_an_error_in_the_middle_leaves_the_old_file(tmp_path):
    write_labels(tmp_path / "a.tif", LABELS)
    old = (tmp_path / "a.tif").read_bytes()

    def failing():
        yield next(blocks(LABELS, [100], []))
        raise RuntimeError("the network failed")

    with pytest.raises(RuntimeError, match="the network failed"):
        write_labels_tiled(tmp_path / "a.tif", LABELS.shape, failing())
    assert (tmp_path / "a.tif").read_bytes() == old
    assert [file.name for file in tmp_path.iterdir()] == ["a.tif"]


def run(program, *arguments):
    """Run a program in a process of its own and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on file sizes to stand in for a full disk")
@pytest.mark.parametrize("call", ["write_labels(path, labels)", "write_probabilities(path, maps, 'ab')"])
def test_a_full_disk_leaves_nothing_with_the_final_name(tmp_path, call):
    printed = run(
        f"""
        import resource, signal, sys
        from pathlib import Path
        import numpy as np
        from segdistill.data.writers import write_labels, write_probabilities
        from segdistill.errors import EnvironmentFault
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
        path = Path(sys.argv[1])
        labels = np.random.default_rng(0).integers(0, 2**32, (1000, 700), dtype=np.uint32)
        maps = labels[None].repeat(2, 0).astype(np.float32)
        try:
            {call}
        except EnvironmentFault as fault:
            print(fault)
        """,
        tmp_path / "a.tif",
    )
    assert "There is no room to write" in printed
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="peak memory is read from /proc")
def test_a_large_image_is_written_in_bounded_memory(tmp_path):
    # 4,000² labels are 64 MB, and two maps 128 MB.
    printed = run(
        """
        import re, sys
        from pathlib import Path
        import numpy as np
        from segdistill.data.tiling import tiles
        from segdistill.data.writers import write_labels_tiled, write_probabilities_tiled
        peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
        folder, shape = Path(sys.argv[1]), (4000, 4000)
        def blocks(make):
            for tile in tiles(shape, side=512, halo=32):
                rows, columns = tile.write
                yield tile.write, make(rows.stop - rows.start, columns.stop - columns.start)
        before = peak()
        write_labels_tiled(folder / "a.tif", shape, blocks(lambda y, x: np.full((y, x), y, np.uint32)))
        write_probabilities_tiled(
            folder / "b.tif", shape, blocks(lambda y, x: np.full((2, y, x), 0.5, np.float32)), ("cell", "cell.boundary")
        )
        print(peak() - before)
        """,
        tmp_path,
    )
    assert int(printed) < 50_000  # KiB
    with open_image(tmp_path / "a.tif") as image:
        assert image.shape == (1, 4000, 4000)
        assert image.read((slice(3990, 4000), slice(0, 4000))).min() > 0


def test_the_folder_is_made(tmp_path):
    write_probabilities(tmp_path / "new" / "deep" / "a.tif", MAPS, NAMES)
    assert Path(tmp_path / "new" / "deep" / "a.tif").exists()
