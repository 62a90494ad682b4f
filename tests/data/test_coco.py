"""Labels from COCO files: which image and structure they belong to, masks and polygons, what is refused."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image as Pillow

from segdistill.data.coco import runs_of
from segdistill.data.datasets import read_dataset
from segdistill.data.glimpse import glimpse
from segdistill.data.labels import read_labels
from segdistill.data.sample import read_sample
from segdistill.data.survey import survey
from segdistill.errors import ConfigError, DataError

SHAPE = (6, 9)
SQUARE = [1, 1, 4, 1, 4, 3, 1, 3]
"""x from 1 to 4, y from 1 to 3."""


def compressed(mask):
    """Write a mask as pycocotools does: the inverse of what is under test, from the format's description."""
    values = mask.T.ravel()
    ends = np.flatnonzero(np.diff(values)) + 1
    runs = np.diff([0, *ends, len(values)]).tolist()
    runs = runs if not len(values) or not values[0] else [0, *runs]
    text = ""
    for place, run in enumerate(runs):
        left = run - runs[place - 2] if place > 2 else run
        while True:
            bits, left = left & 31, left >> 5
            more = not ((left == 0 and not bits & 16) or (left == -1 and bits & 16))
            text += chr(48 + bits + 32 * more)
            if not more:
                break
    return text, runs


def document(annotations, *, images=None, categories=((1, "cell"),)):
    images = images or [{"id": 7, "file_name": "A01.png", "height": SHAPE[0], "width": SHAPE[1]}]
    return {
        "images": images,
        "categories": [{"id": number, "name": name} for number, name in categories],
        "annotations": [{"id": 100 + place, "image_id": 7, "category_id": 1, "iscrowd": 0, **each}
                        for place, each in enumerate(annotations)],
    }  # fmt: skip


def folder(tmp_path, content, names=("A01",), file="annotations.json"):
    (tmp_path / "labels").mkdir(exist_ok=True)
    for name in names:
        path = tmp_path / "images" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Pillow.fromarray(np.arange(SHAPE[0] * SHAPE[1], dtype=np.uint8).reshape(SHAPE)).save(path)
    (tmp_path / "labels" / file).write_text(json.dumps(content), encoding="utf-8")
    return tmp_path


def labels_of(root, name="A01"):
    dataset = read_dataset(root)
    case = next(case for case in dataset.cases if case.name == name)
    return dataset, read_sample(case, dataset)


def test_polygons_of_one_object_are_taken_together_and_objects_numbered(tmp_path):
    root = folder(tmp_path, document([{"segmentation": [SQUARE, [6, 0, 8, 0, 8, 2, 6, 2]]},
                                      {"segmentation": [[0, 4, 9, 4, 9, 6, 0, 6]]}]))  # fmt: skip
    dataset, sample = labels_of(root)
    expected = np.zeros(SHAPE, int)
    expected[1:3, 1:4] = expected[0:2, 6:8] = 1
    expected[4:6] = 2
    np.testing.assert_array_equal(sample.planes[0], expected)
    assert [(each.name, each.instances) for each in dataset.structures] == [("cell", True)]


@given(mask=arrays.arrays(np.bool_, st.just(SHAPE)))
def test_compressed_masks_come_back(mask):
    text, runs = compressed(mask)
    assert runs_of(text) == runs


def test_a_run_of_many_digits_and_a_shorter_one_after_it():
    # 100 000 pixels of background, 3 of the object, 70 000, 2: the last is written as the difference -1.
    mask = np.zeros(170_005, bool)
    mask[100_000:100_003] = mask[170_003:] = True
    text, runs = compressed(mask[None])
    assert runs == [100_000, 3, 70_000, 2]
    assert runs_of(text) == runs


@pytest.mark.parametrize("plain", [False, True])
def test_run_length_masks_are_drawn_column_after_column(tmp_path, plain):
    mask = np.zeros(SHAPE, bool)
    mask[2:5, 3:7] = mask[0, 8] = True
    text, runs = compressed(mask)
    coded = {"size": list(SHAPE), "counts": runs if plain else text}
    _, sample = labels_of(folder(tmp_path, document([{"segmentation": coded}])))
    np.testing.assert_array_equal(sample.planes[0] > 0, mask)


def test_categories_are_structures_and_an_image_without_objects_is_labelled(tmp_path):
    images = [{"id": n, "file_name": f"scans/{name}.png", "height": SHAPE[0], "width": SHAPE[1]}
              for n, name in ((7, "A01"), (8, "A02"))]  # fmt: skip
    content = document(
        [{"segmentation": [SQUARE]}, {"segmentation": [SQUARE], "category_id": 2}],
        images=images,
        categories=((1, "cell"), (2, "nucleus"), (3, "unused")),
    )
    root = folder(tmp_path, content, names=("A01", "A02", "A03"))
    dataset = read_dataset(root)
    known = {case.name: sorted(case.labels) for case in dataset.cases}
    assert known == {"A01": ["cell", "nucleus"], "A02": ["cell", "nucleus"], "A03": []}
    assert not read_sample(dataset.cases[1], dataset).planes.any()
    assert read_sample(dataset.cases[1], dataset).known.all()
    assert "annotations.json: categories without any object are left aside: unused." in dataset.notes
    assert any("1 of 3 images have no label: A03" in note for note in dataset.notes)


def test_several_files_are_joined_and_an_image_in_both_is_refused(tmp_path):
    second = [{"id": 1, "file_name": "A02.png", "height": SHAPE[0], "width": SHAPE[1]}]
    folder(tmp_path, document([{"segmentation": [SQUARE]}]), names=("A01", "A02"), file="train.json")
    folder(tmp_path, document([{"segmentation": [SQUARE], "image_id": 1}], images=second), file="val.json")
    assert [sorted(case.labels) for case in read_dataset(tmp_path).cases] == [["cell"], ["cell"]]
    second[0]["file_name"] = "A01.png"
    folder(tmp_path, document([{"segmentation": [SQUARE], "image_id": 1}], images=second), file="val.json")
    with pytest.raises(DataError, match="both labels of 'A01'"):
        read_dataset(tmp_path)


def test_an_image_is_found_by_its_end_only_where_that_is_one(tmp_path):
    images = [{"id": 7, "file_name": "A01.png", "height": SHAPE[0], "width": SHAPE[1]}]
    root = folder(tmp_path, document([{"segmentation": [SQUARE]}], images=images), names=("plate1/A01", "plate2/B01"))
    assert [bool(case.labels) for case in read_dataset(root).cases] == [True, False]
    folder(tmp_path, document([{"segmentation": [SQUARE]}], images=images), names=("plate2/A01",))
    with pytest.raises(DataError, match="no two of the same stem"):
        read_dataset(root)


def test_beside_label_images_json_files_are_left_aside(tmp_path):
    root = folder(tmp_path, {"made by": "a program"})
    Pillow.fromarray(np.ones(SHAPE, np.uint8)).save(root / "labels/A01.png")
    dataset, sample = labels_of(root)
    assert sample.planes.all()
    assert any("annotations.json" in note for note in dataset.notes)


CODED = {"size": list(SHAPE), "counts": [54]}


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        ({"segmentation": [], "bbox": [0, 0, 3, 3]}, "has no segmentation, perhaps a box alone"),
        ({"segmentation": [[0, 0, 3, 3]]}, "needs three corners"),
        ({"segmentation": [[0, 0, 3, 3, 5]]}, "cannot be read"),
        ({"segmentation": [[0, 0, 3, None, 5, 5]]}, "not finite|cannot be read"),
        ({"segmentation": CODED}, "covers no pixel: its mask is empty"),
        ({"segmentation": {**CODED, "counts": [50]}}, "do not make up 6 × 9 pixels"),
        ({"segmentation": {**CODED, "counts": [60, -6]}}, "do not make up"),
        ({"segmentation": {**CODED, "counts": "0R"}}, "ends within a number"),
        ({"segmentation": {**CODED, "counts": "é"}}, "no part of a run-length mask"),
        ({"segmentation": {"size": [9, 6], "counts": [0, 54]}}, "mask of 9 × 6 pixels"),
        ({"segmentation": [[20, 20, 30, 20, 30, 30]]}, "covers no pixel of its image"),
    ],
)
def test_what_is_no_object_is_refused_by_its_number(tmp_path, annotation, words):
    root = folder(tmp_path, document([annotation]))
    dataset = read_dataset(root)
    with pytest.raises(DataError, match=words) as caught:
        read_sample(dataset.cases[0], dataset)
    assert "annotations.json" in str(caught.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda content: content.pop("annotations"), "no list of annotations"),
        (lambda content: content["images"].append(dict(content["images"][0])), "2 images, but only 1 different ids"),
        (lambda content: content["categories"].append({"id": 2, "name": "cell"}), "several categories called cell"),
        (lambda content: content["annotations"][0].update(image_id=99), "annotation 100 belongs to image 99"),
        (lambda content: content["images"][0].pop("height"), "an entry that cannot be read"),
        (lambda content: content["annotations"][0].update(iscrowd=2), "annotation 100 has 2 as iscrowd"),
    ],
)
def test_files_that_contradict_themselves_are_refused(tmp_path, change, words):
    content = document([{"segmentation": [SQUARE]}])
    change(content)
    with pytest.raises(DataError, match=words):
        read_dataset(folder(tmp_path, content))


def test_an_image_of_another_size_is_refused(tmp_path):
    images = [{"id": 7, "file_name": "A01.png", "height": 12, "width": 18}]
    root = folder(tmp_path, document([{"segmentation": [SQUARE]}], images=images))
    with pytest.raises(DataError, match="drawn on an image of 12 × 18 pixels"):
        labels_of(root)


def test_broken_json_and_a_file_alone_are_refused(tmp_path):
    root = folder(tmp_path, document([]))
    (root / "labels/annotations.json").write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match="JSON"):
        read_dataset(root)
    with pytest.raises(DataError, match="objects of many images"):
        read_labels(root / "labels/annotations.json")


def test_other_kinds_than_objects_are_refused(tmp_path):
    root = folder(tmp_path, document([{"segmentation": [SQUARE]}]))
    assert read_dataset(root, label_kind="binary").structures[0].instances is False
    with pytest.raises(ConfigError, match="outlines of objects"):
        read_dataset(root, label_kind="classes")


def test_a_changed_file_is_read_again(tmp_path):
    root = folder(tmp_path, document([{"segmentation": [SQUARE]}]))
    assert labels_of(root)[1].planes.max() == 1
    folder(tmp_path, document([{"segmentation": [SQUARE]}, {"segmentation": [[0, 4, 9, 4, 9, 6, 0, 6]]}]))
    assert labels_of(root)[1].planes.max() == 2


CROWD = {"segmentation": [[3, 2, 7, 2, 7, 5, 3, 5]], "iscrowd": 1}
"""x from 3 to 7, y from 2 to 5: it covers a pixel of SQUARE's lower right corner."""


def test_pixels_of_crowds_count_for_nothing_and_are_no_objects(tmp_path):
    text, _ = compressed(np.pad(np.ones((1, 9), bool), ((5, 0), (0, 0))))
    runs = {"segmentation": {"size": list(SHAPE), "counts": text}, "iscrowd": 1}
    root = folder(tmp_path, document([CROWD, {"segmentation": [SQUARE]}, runs]))
    dataset, sample = labels_of(root)
    expected = np.ones(SHAPE, bool)
    expected[2:5, 3:7] = expected[5] = False
    np.testing.assert_array_equal(sample.counts, expected)
    assert np.unique(sample.planes[0]).tolist() == [0, 1]
    assert sample.planes[0].sum() == 2 * 3  # whole, also where the crowd lies over it
    assert (
        "annotations.json: 2 annotations mark crowds (iscrowd); their pixels count for nothing, in A01.png."
        in dataset.notes
    )
    seen = []
    survey(dataset, visit=lambda each: seen.append(glimpse(each)))
    np.testing.assert_array_equal(seen[0].counts, expected)


def test_crowds_are_taken_out_beside_a_mask_of_what_does_not_count(tmp_path):
    root = folder(tmp_path, document([CROWD, {"segmentation": [SQUARE]}]))
    (root / "ignore").mkdir()
    mask = np.zeros(SHAPE, np.uint8)
    mask[0, 0] = 1
    Pillow.fromarray(mask).save(root / "ignore/A01.png")
    _, sample = labels_of(root)
    assert not sample.counts[0, 0]
    assert not sample.counts[2, 3]
    assert sample.counts.sum() == 54 - 1 - 12


def test_a_category_of_crowds_alone_is_left_aside(tmp_path):
    content = document([{"segmentation": [SQUARE]}, {**CROWD, "category_id": 2}], categories=((1, "cell"), (2, "bird")))
    dataset, sample = labels_of(folder(tmp_path, content))
    assert [each.name for each in dataset.structures] == ["cell"]
    assert sample.counts.all()
    assert "annotations.json: categories without any object are left aside: bird." in dataset.notes


def test_a_crowd_outside_its_image_is_refused_and_told_by_a_survey(tmp_path):
    outside = {"segmentation": [[20, 20, 30, 20, 30, 30]], "iscrowd": 1}
    root = folder(tmp_path, document([{"segmentation": [SQUARE]}, outside]))
    dataset = read_dataset(root)
    with pytest.raises(DataError, match="annotation 101 covers no pixel of its image"):
        read_sample(dataset.cases[0], dataset)
    (fault,) = survey(dataset).faults
    assert "annotation 101 covers no pixel" in fault
