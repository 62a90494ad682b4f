import numpy as np
import pytest
from PIL import Image as Pillow

from segdistill.data.labels import read_labels
from segdistill.data.png_writer import write_png
from segdistill.errors import DataError

LABELS = np.random.default_rng(0).integers(0, 2**16, (37, 23), dtype=np.uint32)


@pytest.mark.parametrize("cuts", [[], [1, 20]])
def test_numbers_come_back(tmp_path, cuts):
    write_png(tmp_path / "a.png", LABELS.shape, np.split(LABELS, cuts))
    np.testing.assert_array_equal(read_labels(tmp_path / "a.png"), LABELS)
    with Pillow.open(tmp_path / "a.png") as picture:
        picture.verify()  # checksums
        assert (picture.size, picture.mode) == ((23, 37), "I;16")


def test_a_larger_number_is_refused_and_nothing_is_left(tmp_path):
    large = [LABELS[:5], np.full((32, 23), 65_536)]
    with pytest.raises(DataError, match=r"a\.png go up to 65,536, but a PNG holds numbers up to 65,535. Write a\.tif"):
        write_png(tmp_path / "a.png", LABELS.shape, large)
    assert list(tmp_path.iterdir()) == []
