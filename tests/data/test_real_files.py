"""Real public images, where they lie beside the repository; the same formats are tested without them elsewhere."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

from segdistill.data.channels import select
from segdistill.data.readers import open_image, read_image

DATA = Path(__file__).parents[3] / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="there are no images in ../shared/data")

FLUORESCENCE = {
    "livecell_phase/images/HeLa_joint_set1.ome.tif": (("nucleus", "phase"), (1080, 1280), "uint16"),
    "codex/images/X003_Y004.ome.tif": (("nucleus", "membrane", "cytoplasm"), (1008, 1344), "uint16"),
    "mibi/images/point8.ome.tif": (("nucleus", "membrane"), (1024, 1024), "uint8"),
    "vectra/images/FIHC4.ome.tif": (("DAPI", "membrane", "FITC", "Cy3", "Alexa594"), (260, 348), "float32"),
    "scportrait_unlabelled/images/r000_c000.ome.tif": (("DAPI", "Alexa488", "mCherry"), (1080, 1080), "uint16"),
}


@pytest.mark.parametrize("name", FLUORESCENCE)
def test_multiplexed_fields(name):
    channels, shape, dtype = FLUORESCENCE[name]
    with open_image(DATA / name) as image:
        assert (image.channels, image.shape[1:], image.dtype.name) == (channels, shape, dtype)
        expected = tifffile.imread(DATA / name)
        assert np.array_equal(image.read(), expected)
        window = (slice(97, 160), slice(31, 258))
        assert np.array_equal(image.read(window), expected[:, *window])
        wanted = select(image.read(window), channels, channels[::-1], source=name)
        assert np.array_equal(wanted, expected[::-1, *window])


def test_colour_pictures():
    for path in (next((DATA / "drive" / "images").glob("*.tif")), next((DATA / "chase_db1" / "images").glob("*.jpg"))):
        image = read_image(path)
        assert image.channels == ("red", "green", "blue")
        assert image.pixel_size is None
        assert np.array_equal(image.array, np.moveaxis(np.asarray(Pillow.open(path)), -1, 0))


def test_masks_as_gif_and_one_bit_png():
    for path in (next((DATA / "drive" / "labels").glob("*.gif")), next((DATA / "chase_db1" / "labels").glob("*.png"))):
        image = read_image(path)
        assert image.channels == ("channel0",)
        assert set(np.unique(image.array).tolist()) == {0, 255}


def test_mixed_grey_and_rgba_pictures_all_have_luma():
    folder = DATA / "bbbc038" / "images"
    grey = rgba = 0
    for path in sorted(folder.glob("*.png"))[::25]:
        image = read_image(path)
        luma = select(image.array, image.channels, ("luma",), source=image.source)[0]
        with Pillow.open(path) as picture:
            grey, rgba = grey + (picture.mode == "L"), rgba + (picture.mode == "RGBA")
            # pillow rounds its brightness with 16-bit weights, so the last bit may differ.
            assert np.abs(luma.astype(int) - np.asarray(picture.convert("L"))).max() <= 1
    assert grey
    assert rgba


def test_files_of_all_kinds_can_be_read():
    folders = ["busi", "chest_organs", "chase_db1", "codex", "drive", "mibi", "vectra"]
    files = [path for folder in folders for path in sorted((DATA / folder).rglob("*.*"))[::5] if path.suffix != ".csv"]
    assert files
    for path in files:
        with open_image(path) as image:
            rows = slice(0, min(16, image.shape[1]))
            assert image.read((rows, slice(None))).shape == (len(image.channels), rows.stop, image.shape[2])
