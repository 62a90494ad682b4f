"""Outlines as labels or as predictions: where their size comes from, what counts, what is refused."""

import csv
import json
import math
import struct

import numpy as np
import pytest
import tifffile

SHAPE = (20, 30)
SQUARES = ((1, 1, 4, 5), (8, 3, 12, 9), (2, 20, 7, 29))
"""Top, left, bottom, right."""


def ring(top, left, bottom, right):
    return [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]


def geojson(path, squares=SQUARES):
    path.parent.mkdir(parents=True, exist_ok=True)
    features = [
        {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring(*each)]}, "properties": {}}
        for each in squares
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    return path


def picture(path, squares=SQUARES, shape=SHAPE, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.zeros(shape, np.uint16)
    for number, (top, left, bottom, right) in enumerate(squares, start=1):
        array[top:bottom, left:right] = number
    tifffile.imwrite(path, array, **options)
    return path


def coco(path, images, categories=("cell",), crowds=()):
    """Write a COCO file: file name to squares of each category, by number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    annotations = [
        {"image_id": number, "category_id": category, "iscrowd": int(square in crowds),
         "segmentation": [np.ravel(ring(*square)[:4]).tolist()]}
        for number, found in enumerate(images.values()) for category, squares in found.items() for square in squares
    ]  # fmt: skip
    content = {
        "images": [
            {"id": n, "file_name": name, "height": SHAPE[0], "width": SHAPE[1]} for n, name in enumerate(images)
        ],
        "categories": [{"id": n, "name": name} for n, name in enumerate(categories, 1)],
        "annotations": [{"id": place, **each} for place, each in enumerate(annotations)],
    }
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def values(path, metric="dice"):
    with path.open(newline="", encoding="utf-8") as handle:
        return {row["field"]: float(row["value"]) for row in csv.DictReader(handle) if row["metric"] == metric}


@pytest.fixture
def score(run, tmp_path):
    """Run evaluate on two paths; return what it printed and each field's Dice."""

    def call(predictions, labels, *words):
        out = tmp_path / f"scores{len(list(tmp_path.glob('scores*.csv')))}.csv"
        kind = () if "--label-kind" in words else ("--label-kind", "instances")
        done = run("evaluate", predictions, labels, "--out", out, *kind, *words)
        return done, values(out) if out.exists() else {}

    return call


@pytest.mark.parametrize("drawn", ["pred", "lab"])
def test_beside_label_images_outlines_have_their_size(score, tmp_path, drawn):
    other = {"pred": "lab", "lab": "pred"}[drawn]
    for name in ("p1/A", "B"):
        geojson(tmp_path / drawn / f"{name}.geojson")
        picture(tmp_path / other / f"{name}.tif")
    done, dice = score(tmp_path / "pred", tmp_path / "lab")
    assert (done.status, done.err) == (0, "")
    assert dice == {"p1/A": 1, "B": 1}
    assert "pq" in done.out  # objects are told apart


def test_outlines_are_objects_without_being_asked(run, tmp_path):
    done = run("evaluate", picture(tmp_path / "pred.tif"), geojson(tmp_path / "lab.geojson"))
    assert done.status == 0
    assert "cell: labels are taken for instances, which --label-kind can change." in done.out


def test_one_file_of_each_may_be_outlines(score, tmp_path):
    done, dice = score(geojson(tmp_path / "a.geojson", SQUARES[:1]), picture(tmp_path / "b.tif"))
    # 12 pixels of 12 + 24 + 45: 2 · 12 / (12 + 81)
    assert (done.status, dice["b"]) == (0, pytest.approx(24 / 93))


def test_a_missing_prediction_is_worst_and_an_empty_one_is_empty(score, tmp_path):
    for name in ("A", "B", "C"):
        geojson(tmp_path / f"lab/{name}.geojson", SQUARES if name != "C" else ())
    geojson(tmp_path / "pred/A.geojson")
    geojson(tmp_path / "pred/C.geojson", ())
    for name in "ABC":
        picture(tmp_path / f"images/{name}.tif", ())
    done, dice = score(tmp_path / "pred", tmp_path / "lab", "--images", tmp_path / "images")
    assert (done.status, dice) == (1, {"A": 1, "B": 0, "C": 1})
    assert "Labels without a prediction, which have the worst scores: 1\n  B\n" in done.out
    assert values(tmp_path / "scores0.csv", "hd95")["B"] == pytest.approx(math.hypot(*SHAPE))


def test_without_any_size_they_are_refused_and_images_help(score, tmp_path):
    for name in ("A", "B"):
        geojson(tmp_path / f"lab/{name}.geojson")
        geojson(tmp_path / f"pred/{name}.geojson")
    done, _ = score(tmp_path / "pred", tmp_path / "lab")
    assert done.status != 0
    assert "Nothing says how large the images of 2 labels are: A, B." in done.err
    assert "Name the folder of the images: --images." in done.err
    picture(tmp_path / "images/A.tif", ())
    done, _ = score(tmp_path / "pred", tmp_path / "lab", "--images", tmp_path / "images")
    assert "images of 1 labels are: B." in done.err
    picture(tmp_path / "images/B.tif", ())
    assert score(tmp_path / "pred", tmp_path / "lab", "--images", tmp_path / "images")[1] == {"A": 1, "B": 1}


def test_a_deleted_prediction_of_outlined_labels_does_not_drop_out(score, tmp_path):
    for name in ("A", "B"):
        geojson(tmp_path / f"lab/{name}.geojson")
    picture(tmp_path / "pred/A.tif")
    done, dice = score(tmp_path / "pred", tmp_path / "lab")
    assert (done.status, dice) == (2, {})
    assert "images of 1 labels are: B." in done.err


def test_images_give_the_pixel_size_and_are_compared(score, tmp_path):
    geojson(tmp_path / "lab/A.geojson")
    geojson(tmp_path / "lab/B.geojson")
    picture(tmp_path / "pred/A.tif")
    picture(tmp_path / "pred/B.tif", shape=(20, 31))
    metres = {"ome": True, "metadata": {"axes": "YX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}}
    for name in ("A", "B"):
        picture(tmp_path / f"images/{name}.ome.tif", (), **metres)
    done, dice = score(tmp_path / "pred", tmp_path / "lab", "--images", tmp_path / "images")
    assert "Distances are in µm; pixels have 0.5 µm." in done.out
    assert (done.status, dice) == (1, {"A": 1, "B": 0})
    assert "B.tif has 20 × 31 pixels (y × x), but the label" in done.out


def test_a_label_image_of_another_size_than_its_image_is_in_no_mean(score, tmp_path):
    for name in ("A", "B"):
        picture(tmp_path / f"lab/{name}.tif")
        picture(tmp_path / f"pred/{name}.tif")
        picture(tmp_path / f"images/{name}.tif", (), shape=(20, 30) if name == "A" else (20, 33))
    done, dice = score(tmp_path / "pred", tmp_path / "lab", "--images", tmp_path / "images")
    assert (done.status, dice) == (1, {"A": 1})
    assert "B.tif has 20 × 30 pixels (y × x), but its image" in done.out


def test_outlines_beside_masks_are_taken_together(score, tmp_path):
    geojson(tmp_path / "lab/A.geojson")
    picture(tmp_path / "pred/A.tif")
    kinds = ("--label-kind", "binary", "--prediction-kind", "instances")
    done, dice = score(tmp_path / "pred", tmp_path / "lab", *kinds)
    assert (done.status, dice) == (0, {"A": 1})
    assert "pq" not in done.out
    done, _ = score(tmp_path / "pred", tmp_path / "lab", "--label-kind", "classes")
    assert "are outlines of objects, which are instances or binary, but the kind is classes" in done.err


def test_an_outline_that_cannot_be_used_is_told_and_worst(score, tmp_path):
    picture(tmp_path / "lab/A.tif")
    geojson(tmp_path / "pred/A.geojson", [(40, 40, 50, 50)])
    done, dice = score(tmp_path / "pred", tmp_path / "lab")
    assert (done.status, dice) == (1, {"A": 0})
    assert "Predictions that cannot be used" in done.out
    assert "feature 1 covers no pixel" in done.out


def test_imagej_rois_named_after_the_image(score, tmp_path):
    picture(tmp_path / "lab/A.tif", SQUARES[:1])
    head = struct.pack(">4shBx5h", b"Iout", 227, 1, *SQUARES[0], 0)
    (tmp_path / "pred").mkdir()
    (tmp_path / "pred/A.tif.roi").write_bytes(head + bytes(64 - len(head)))
    assert score(tmp_path / "pred", tmp_path / "lab")[1] == {"A": 1}


# COCO files


def test_coco_on_either_side_and_on_both(score, tmp_path):
    images = {"scans/A.png": {1: SQUARES}, "scans/B.png": {}}
    labels, predictions = (coco(tmp_path / name, images) for name in ("labels.json", "pred.json"))
    for name, squares in (("A", SQUARES), ("B", ())):
        picture(tmp_path / f"masks/{name}.tif", squares)
    assert score(tmp_path / "masks", labels)[1] == {"A": 1, "B": 1}
    assert score(predictions, tmp_path / "masks")[1] == {"A": 1, "B": 1}
    done, dice = score(predictions, labels)  # COCO files say how large images are
    assert (done.status, dice) == (0, {"scans/A": 1, "scans/B": 1})


def test_images_that_a_coco_file_of_predictions_lacks_are_missing(score, tmp_path):
    for name in ("A", "B", "C"):
        picture(tmp_path / f"lab/{name}.tif")
    predictions = coco(tmp_path / "pred/all.json", {"A.png": {1: SQUARES}, "B.png": {}})
    done, dice = score(predictions.parent, tmp_path / "lab")
    assert (done.status, dice) == (1, {"A": 1, "B": 0, "C": 0})
    assert "Labels without a prediction, which have the worst scores: 1\n  C\n" in done.out
    assert "only the prediction is empty (every score is its worst): 1" in done.out


def test_crowds_of_labels_count_for_nothing_and_of_predictions_are_refused(score, tmp_path):
    images = {"A.png": {1: SQUARES}}
    labels = coco(tmp_path / "labels.json", images, crowds=SQUARES[2:])
    picture(tmp_path / "pred/A.tif", [*SQUARES[:2], (2, 22, 6, 26)])
    done, dice = score(tmp_path / "pred", labels)
    assert (done.status, dice) == (0, {"A": 1})  # what was found in the crowd is neither right nor wrong
    assert "labels.json: 1 annotations mark crowds (iscrowd); their pixels count for nothing, in A.png." in done.out
    picture(tmp_path / "masks/A.tif")
    done, dice = score(labels, tmp_path / "masks")
    assert (done.status, dice) == (1, {"A": 0})
    assert "marks crowds (iscrowd). What counts for nothing is for the labels to say" in done.out


def test_categories_are_chosen_by_structure_or_scored_one_by_one(score, tmp_path):
    both = {"A.png": {1: SQUARES[:1], 2: SQUARES}}
    labels = coco(tmp_path / "labels.json", both, ("Zelle", "Kern"))
    picture(tmp_path / "pred/A.tif")
    done, _ = score(tmp_path / "pred", labels)
    assert "has no category 'cell'. Did you mean 'Zelle'? It has: Zelle, Kern. Say which with --structure" in done.err
    assert score(tmp_path / "pred", labels, "--structure", "Kern")[1] == {"A": 1}
    for name, squares in (("Kern", SQUARES), ("Zelle", SQUARES[:1])):
        picture(tmp_path / f"parts/{name}/A.tif", squares)
    done, dice = score(tmp_path / "parts", labels, "--structures", "Zelle", "Kern")
    assert (done.status, dice) == (0, {"A": 1})
    done, _ = score(tmp_path / "parts", labels, "--structures", "Zelle", "Kerne")
    assert done.status == 2
