"""Shapes that are drawn on images: masks lie where the image has changed."""

import csv

import numpy as np
from PIL import Image as Picture

from shapes import STRUCTURES, blob, drawn, line, write_shapes


def test_shapes_are_neither_empty_nor_everything():
    draw = np.random.default_rng(0)
    shares = {shape: [shape(draw, 64).mean() for _ in range(60)] for shape in (blob, line)}
    assert min(shares[blob]) > 0
    assert max(shares[blob]) < 0.5
    assert max(shares[line]) < 0.15


def test_an_image_changes_at_its_masks_alone():
    draw = np.random.default_rng(1)
    ground, other = np.full((64, 64), 0.5), np.full((64, 64), 0.1)
    for _ in range(20):
        image, masks = drawn(draw, ground, [other])
        shapes = masks["blob"] | masks["line"]
        assert masks["line"].any()
        assert not (masks["blob"] & masks["line"]).any()
        far = np.abs(image - ground)[~shapes]
        assert far.mean() < 0.05


def test_a_data_set_of_shapes_is_the_same_again(tmp_path):
    Picture.fromarray((np.arange(80 * 60) % 251).astype(np.uint8).reshape(80, 60)).save(tmp_path / "a.png")
    made = [
        write_shapes([tmp_path / "a.png"], tmp_path / name, count=3, side=32, validation=1, seed=5) for name in "xy"
    ]
    rows = [list(csv.DictReader(path.read_text(encoding="utf-8").splitlines())) for path in made]
    assert [row["split"] for row in rows[0]] == ["validation", "train", "train"]
    for first, second in zip(*rows, strict=True):
        for column in ("image", *(f"label:{name}" for name in STRUCTURES)):
            one, two = (np.asarray(Picture.open(row[column])) for row in (first, second))
            np.testing.assert_array_equal(one, two)
            assert one.shape == (32, 32)
