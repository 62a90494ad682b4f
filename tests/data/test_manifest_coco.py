"""COCO files in the label column of a manifest: which image is meant, which structures, what is refused by row."""

import json

import numpy as np
import pytest
from PIL import Image as Pillow

from segdistill.data.datasets import read_dataset
from segdistill.data.sample import read_sample
from segdistill.errors import DataError

SHAPE = (6, 9)
SQUARE = [1, 1, 4, 1, 4, 3, 1, 3]
"""x from 1 to 4, y from 1 to 3."""


def coco(path, images, annotations, categories=("cell",)):
    """Write a COCO file: images by number, annotations as (image, category), each a square."""
    content = {
        "images": [{"id": n, "file_name": name, "height": SHAPE[0], "width": SHAPE[1]} for n, name in images.items()],
        "categories": [{"id": n, "name": name} for n, name in enumerate(categories, 1)],
        "annotations": [{"id": place, "image_id": image, "category_id": category, "segmentation": [SQUARE]}
                        for place, (image, category) in enumerate(annotations)],
    }  # fmt: skip
    path.write_text(json.dumps(content), encoding="utf-8")


def manifest(root, *rows, pictures=("p1/A01.png", "p2/A01.png", "p2/B01.tif")):
    for name in pictures:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Pillow.fromarray(np.arange(54, dtype=np.uint8).reshape(SHAPE)).save(path)
    (root / "fields.csv").write_text("\n".join(rows), encoding="utf-8")
    return root / "fields.csv"


def labels_of(dataset):
    return {case.name: sorted(case.labels) for case in dataset.cases}


def test_every_category_is_a_structure_and_images_are_found_by_name(tmp_path):
    coco(tmp_path / "all.json", {7: "p1/A01.png", 8: "B01.png"}, [(7, 1), (7, 2)], ("cell", "nucleus", "never"))
    path = manifest(tmp_path, "image,label", "p1/A01.png,all.json", "p2/B01.tif,all.json", "p2/A01.png,")
    dataset = read_dataset(path)
    assert labels_of(dataset) == {"p1/A01": ["cell", "nucleus"], "p2/B01": ["cell", "nucleus"], "p2/A01": []}
    assert read_sample(dataset.cases[0], dataset).planes.sum(axis=(1, 2)).tolist() == [6, 6]
    assert not read_sample(dataset.cases[1], dataset).planes.any()  # named and without objects: nothing is there
    assert "all.json: categories without any object are left aside: never." in dataset.notes
    assert "cell: 1 of 3 images have no label: p2/A01." in dataset.notes


def test_of_two_images_of_one_name_the_folder_decides_and_then_the_suffix(tmp_path):
    coco(tmp_path / "all.json", {1: "scans/p1/A01.jpg", 2: "scans/p2/A01.jpg", 3: "p1/A01.png"}, [(2, 1), (3, 1)])
    path = manifest(tmp_path, "image,label", "p1/A01.png,all.json", "p2/A01.png,all.json")
    assert ["[3 1]" in str(case.labels["cell"]) for case in read_dataset(path).cases] == [True, False]
    assert "[2 1]" in str(read_dataset(path).cases[1].labels["cell"])


def test_a_column_of_a_structure_takes_its_category_or_the_only_one(tmp_path):
    coco(tmp_path / "two.json", {1: "A01.png"}, [(1, 1), (1, 2)], ("cell", "nucleus"))
    coco(tmp_path / "one.json", {1: "B01.png"}, [(1, 1)], ("Kern",))
    path = manifest(tmp_path, "image,label:nucleus", "p1/A01.png,two.json", "p2/B01.tif,one.json")
    assert labels_of(read_dataset(path)) == {"p1/A01": ["nucleus"], "p2/B01": ["nucleus"]}


def test_one_category_is_not_two_structures(tmp_path):
    coco(tmp_path / "one.json", {1: "p1/A01.png"}, [(1, 1)], ("cell",))
    path = manifest(tmp_path, "image,label:cell,label:nucleus", "p1/A01.png,one.json,one.json")
    with pytest.raises(DataError, match=r"row 2: label:nucleus: one\.json has one category alone"):
        read_dataset(path)


def test_beside_label_images_a_structure_must_be_named(tmp_path):
    coco(tmp_path / "all.json", {1: "p1/A01.png"}, [(1, 1)], ("Zelle",))
    rows = ("p1/A01.png,all.json", "p2/A01.png,p2/B01.tif")
    with pytest.raises(DataError, match=r"row 3: label: 'B01.tif' is a label image, but other rows name COCO files"):
        read_dataset(manifest(tmp_path, "image,label", *rows))
    assert read_dataset(manifest(tmp_path, "image,label:cell", *rows)).structures[0].name == "cell"


@pytest.mark.parametrize(
    ("images", "rows", "words"),
    [
        ({1: "C01.png"}, ["p1/A01.png"], "row 2: label: all.json has no image called A01.png; it has C01.png"),
        ({1: "x/A01.png", 2: "y/A01.png"}, ["p1/A01.png"], "row 2: .* several images that could be A01.png: x/A01.png"),
        ({1: "A01.png"}, ["p1/A01.png", "p2/A01.png"], "row 3: label: image 'A01.png' of all.json belongs to row 2"),
        ({}, ["p1/A01.png"], "has no image called A01.png; it has none"),
    ],
)
def test_an_image_that_is_not_clear_is_refused_by_row(tmp_path, images, rows, words):
    coco(tmp_path / "all.json", images, [])
    with pytest.raises(DataError, match=words):
        read_dataset(manifest(tmp_path, "image,label", *(f"{row},all.json" for row in rows)))


def test_a_category_that_is_not_there_and_a_broken_file_are_told_once(tmp_path):
    coco(tmp_path / "all.json", {1: "p1/A01.png", 2: "p2/A01.png"}, [(1, 1)], ("cell", "nucleus"))
    rows = ("image,label:nuclei", "p1/A01.png,all.json", "p2/A01.png,all.json")
    with pytest.raises(DataError, match=r"has 1 errors:\n  row 2: label:nuclei: .* Did you mean 'nucleus'\?"):
        read_dataset(manifest(tmp_path, *rows))
    (tmp_path / "all.json").write_text("[]")
    with pytest.raises(DataError, match=r"has 1 errors:\n  row 2: label: .* is no COCO file of objects"):
        read_dataset(manifest(tmp_path, *rows))
