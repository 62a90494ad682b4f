import subprocess
import sys
import textwrap
import warnings

import numpy as np
import pytest
import zarr

from segdistill.data.labels import read_labels
from segdistill.data.readers import open_image
from segdistill.data.zarr_writer import write_zarr

LABELS = np.random.default_rng(0).integers(0, 2**31, (1300, 700), dtype=np.uint32)
LABELS[:600, :600] = 0  # a whole chunk without objects


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("zarr") / "a b é.ome.zarr"
    write_zarr(path, LABELS.shape, np.split(LABELS, [1, 500, 900]), pixel_size=0.25)
    return path


def test_our_readers_read_it_back(folder):
    np.testing.assert_array_equal(read_labels(folder), LABELS)
    with open_image(folder) as image:
        assert (image.shape, image.dtype, image.pixel_size) == ((1, 1300, 700), np.uint32, 0.25)


def test_levels_keep_pixels_and_average_none(folder):
    group = zarr.open_group(folder, mode="r")
    assert sorted(group.array_keys()) == ["0", "1", "2"]
    for level in range(3):
        np.testing.assert_array_equal(group[str(level)][:], LABELS[:: 2**level, :: 2**level])


def test_metadata_are_those_of_ome_zarr_05(folder):
    ome = zarr.open_group(folder, mode="r").attrs["ome"]
    (multiscale,) = ome["multiscales"]
    assert ome["version"] == "0.5"
    assert "image-label" in ome
    assert multiscale["axes"] == [{"name": axis, "type": "space", "unit": "micrometer"} for axis in "yx"]
    scales = [each["coordinateTransformations"] for each in multiscale["datasets"]]
    assert scales == [[{"type": "scale", "scale": [side, side]}] for side in (0.25, 0.5, 1.0)]


def test_the_reference_library_reads_it_as_labels(folder):
    pytest.importorskip("ome_zarr", reason="ome-zarr is one of the packages for development")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ome-zarr uses a class that it declares deprecated
        from ome_zarr.io import parse_url
        from ome_zarr.reader import Label, Multiscales, Reader

        (node,) = Reader(parse_url(folder, mode="r"))()
    assert {Label, Multiscales} <= {type(spec) for spec in node.specs}
    assert [level.shape for level in node.data] == [(1300, 700), (650, 350), (325, 175)]
    np.testing.assert_array_equal(np.asarray(node.data[0]), LABELS)
    scales = [steps[0]["scale"] for steps in node.metadata["coordinateTransformations"]]
    assert scales == [[0.25, 0.25], [0.5, 0.5], [1.0, 1.0]]


def test_an_unknown_pixel_size_is_not_invented(tmp_path):
    write_zarr(tmp_path / "a.ome.zarr", (2, 3), [np.ones((2, 3), np.uint32)])
    with open_image(tmp_path / "a.ome.zarr") as image:
        assert image.pixel_size is None


def test_what_fails_in_the_middle_leaves_the_old_folder(tmp_path):
    path = tmp_path / "a.ome.zarr"
    write_zarr(path, (2, 3), [np.ones((2, 3), np.uint32)])

    def failing():
        yield np.zeros((1, 3), np.uint32)
        raise RuntimeError("the disk was pulled")

    with pytest.raises(RuntimeError, match="the disk was pulled"):
        write_zarr(path, (2, 3), failing())
    assert (read_labels(path) == 1).all()
    assert [each.name for each in tmp_path.iterdir()] == ["a.ome.zarr"]
    write_zarr(path, (2, 3), [np.full((2, 3), 7, np.uint32)])
    assert (read_labels(path) == 7).all()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on file sizes to stand in for a full disk")
def test_a_full_disk_is_told_and_leaves_no_folder(tmp_path):
    program = """
        import resource, signal, sys
        from pathlib import Path
        import numpy as np
        from segdistill.data.zarr_writer import write_zarr
        from segdistill.errors import EnvironmentFault
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
        labels = np.random.default_rng(0).integers(0, 2**32, (600, 700), dtype=np.uint32)
        try:
            write_zarr(Path(sys.argv[1]), labels.shape, [labels])
        except EnvironmentFault as fault:
            print(fault)
        """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), tmp_path / "a.ome.zarr"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "There is no room to write" in done.stdout
    assert list(tmp_path.iterdir()) == []
