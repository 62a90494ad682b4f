"""``maps:`` teachers whose maps are outlines: on the image's own grid, at any pixel size, by case and category."""

import json

import numpy as np
import pytest

from segdistill.augment.label_maps import label_maps
from segdistill.data.image import Image
from segdistill.data.labels import Structure
from segdistill.data.rescale import at_pixel_size, nearest
from segdistill.data.sample import Sample
from segdistill.errors import DataError
from segdistill.targets.look import field_of, look
from segdistill.teachers import Hint, load_teacher

SHAPE = (12, 20)
SQUARE = [[2, 1], [9, 1], [9, 8], [2, 8]]
"""x from 2 to 9, y from 1 to 8."""


def labels(*, number=1):
    plane = np.zeros(SHAPE, np.int32)
    plane[1:8, 2:9] = number
    return plane


def maps_of(plane):
    import torch

    return label_maps(torch.from_numpy(plane)[None, None], [True])[0].numpy()


def geojson(path, *rings):
    path.parent.mkdir(parents=True, exist_ok=True)
    features = [{"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}} for ring in rings]
    path.write_text(json.dumps(features))


def coco(path, names, annotations, categories=("cell",)):
    content = {
        "images": [{"id": n, "file_name": name, "height": 12, "width": 20} for n, name in enumerate(names)],
        "categories": [{"id": n, "name": name} for n, name in enumerate(categories)],
        "annotations": [
            {"id": 1, "image_id": image, "category_id": category, "segmentation": [np.ravel(SQUARE).tolist()], **more}
            for image, category, more in annotations
        ],
    }
    path.write_text(json.dumps(content))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "maps.toml").write_text('kind = "labels"\n[outputs]\ncell = [""]\n')
    return tmp_path


def see(folder, case="p1/A", drawn_on=None):
    image = np.zeros((0, *SHAPE), np.float32)
    return load_teacher(f"maps:{folder}").maps(image, Hint(case=case, drawn_on=drawn_on))


@pytest.mark.parametrize("name", ["p1/A.geojson", "p1/A.tif.geojson"])
def test_outlines_are_the_maps_of_their_labels(folder, name):
    geojson(folder / name, SQUARE)
    np.testing.assert_array_equal(see(folder), maps_of(labels()))


def test_no_object_is_a_map_of_zeros_and_no_file_is_refused(folder):
    geojson(folder / "p1/A.geojson")
    assert not see(folder).any()
    with pytest.raises(DataError, match="There are no maps for case 'p2/A'"):
        see(folder, "p2/A")


def test_several_files_of_a_case_are_refused(folder):
    geojson(folder / "p1/A.geojson", SQUARE)
    geojson(folder / "p1/A.png.geojson", SQUARE)
    with pytest.raises(DataError, match=r"Several files could be the labels of case 'p1/A': .*A\.geojson, .*A\.png"):
        see(folder)
    (folder / "p1/A.png.geojson").unlink()
    np.save(folder / "p1/A.npy", labels())
    with pytest.raises(DataError, match=r"A\.geojson, .*A\.npy\. Keep one"):
        see(folder)


def test_an_image_of_another_pixel_size_has_the_outlines_of_its_file(folder):
    geojson(folder / "p1/A.geojson", SQUARE)
    image = Image(np.zeros((1, *SHAPE), np.uint8), ("DAPI",), 0.5, "A.tif")
    sample = Sample("p1/A", image, labels()[None], np.array([True]), np.ones(SHAPE, bool))
    small = at_pixel_size(sample, 1.0)
    assert small.image.array.shape[1:] == (6, 10)
    teacher = load_teacher(f"maps:{folder}")
    found = look(teacher, field_of(teacher, small, (Structure("cell", True),)))
    np.testing.assert_array_equal(found, maps_of(nearest(labels()[None], (6, 10))[0]))


def test_a_coco_file_is_asked_by_the_end_of_the_name_and_the_category(folder):
    coco(folder / "all.json", ["x/p1/A.png", "p2/A.png", "B.png"], [(0, 0, {}), (1, 1, {})], ("cell", "nucleus"))
    (folder / "maps.toml").write_text('kind = "labels"\n[outputs]\ncell = ["cell"]\nnucleus = ["nucleus"]\n')
    first, second = see(folder, "p1/A"), see(folder, "p2/A")
    np.testing.assert_array_equal(first[:2], maps_of(labels()))
    np.testing.assert_array_equal(second[2:], maps_of(labels()))
    assert not first[2:].any()
    assert not second[:2].any()
    assert not see(folder, "B").any()
    for missing in ("p3/A", "p3/B"):
        with pytest.raises(DataError, match=f"have 0 images that end in '{missing}' with category 'cell'"):
            see(folder, missing)
    with pytest.raises(DataError, match="have 2 images that end in 'A'"):
        see(folder, "A")


def test_without_a_part_the_only_category_is_meant(folder):
    coco(folder / "all.json", ["p1/A.png"], [(0, 0, {})], ("Zelle",))
    np.testing.assert_array_equal(see(folder), maps_of(labels()))
    coco(folder / "all.json", ["p1/A.png"], [(0, 0, {})], ("Zelle", "Kern"))
    with pytest.raises(DataError, match=r"with their only category; one is wanted\. Their categories: Zelle, Kern"):
        see(folder)


def test_crowds_and_another_size_are_refused(folder):
    coco(folder / "all.json", ["p1/A.png"], [(0, 0, {"iscrowd": 1})])
    with pytest.raises(DataError, match="marks crowds"):
        see(folder)
    coco(folder / "all.json", ["p1/A.png"], [(0, 0, {})])
    with pytest.raises(DataError, match="drawn on an image of 12 × 20 pixels"):
        see(folder, drawn_on=(24, 40))
