import base64
import io
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from segdistill.data.drawing import (
    AGREED,
    EXTRA,
    MISSED,
    channel_colours,
    error_colours,
    false_colour,
    grey,
    hatched,
    outline,
    probability_colours,
    tint,
)
from segdistill.errors import ShapeError
from segdistill.report.encoding import fitted_labels, fitted_view, picture_uri, shown_shape
from segdistill.report.gallery import view_case

# Machado, Oliveira, Fernandes 2009, doi:10.1109/TVCG.2009.113: what the colour-blind see, severity 1, linear RGB.
BLINDNESS = {
    "none": np.eye(3),
    "protan": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deutan": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritan": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}


def decoded(uri):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",", 1)[1]))).convert("RGB"))


def test_channels_are_added_each_in_its_colour():
    # One row of: nothing, all nucleus, all membrane, both.
    view = np.array([[[0, 1, 0, 1]], [[0, 0, 1, 1]]], dtype=np.float32)
    blue, amber = channel_colours(["nucleus", "membrane"])
    expected = [[(0, 0, 0), blue, amber, (255, 255, 255)]]
    assert false_colour(view, ["nucleus", "membrane"]).tolist() == [[list(colour) for colour in expected[0]]]


def test_a_blank_channel_changes_nothing_and_photographs_keep_their_colours():
    view = np.random.default_rng(0).random((2, 3, 5)).astype(np.float32)
    with_blank = np.concatenate([np.ones((1, 3, 5), np.float32), view])
    assert (false_colour(with_blank, ["blank", "a", "b"]) == false_colour(view, ["a", "b"])).all()
    assert channel_colours(["red", "green", "blue"]) == ((255, 0, 0), (0, 255, 0), (0, 0, 255))
    assert len(channel_colours(list("abcdef"))) == 6


def test_what_is_not_a_number_is_black():
    view = np.array([[[np.nan, 2.0, -1.0]]], dtype=np.float32)
    assert false_colour(view, ["a"])[0, :, 0].tolist() == [0, 255, 0]
    assert grey(view)[0, :, 0].tolist() == [0, 255, 0]
    assert probability_colours(view[0])[0].tolist()[1] == [255, 255, 255]


def test_outline_by_hand():
    labels = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 0, 2], [1, 1, 1, 0, 2]])
    assert outline(labels).astype(int).tolist() == [[0, 0, 1, 0, 0], [0, 0, 1, 0, 1], [0, 0, 1, 0, 1]]
    assert outline(labels, thick=2).astype(int).tolist() == [[0, 1, 1, 0, 0], [0, 1, 1, 0, 1], [0, 1, 1, 0, 1]]


@given(seed=st.integers(0, 50), shift=st.integers(1, 9))
def test_outlines_do_not_depend_on_the_numbers_of_objects(seed, shift):
    labels = np.random.default_rng(seed).integers(0, 4, size=(5, 8))
    renumbered = np.where(labels > 0, (labels + shift) * 7, 0)
    assert (outline(labels) == outline(renumbered)).all()
    assert not outline(labels)[labels == 0].any()


def test_errors_by_hand():
    # Columns: neither, both, extra, missed; the second row does not count.
    background = np.zeros((2, 4, 3), dtype=np.uint8)
    found, wanted = (np.array([row, row]) for row in ([0, 5, 5, 0], [0, 3, 0, 3]))
    counts = np.array([[True] * 4, [False] * 4])
    picture = error_colours(background, found, wanted, counts)
    shares = ((0, 0, 0), *((share * np.array(c)) for share, c in ((0.35, AGREED), (0.8, EXTRA), (0.8, MISSED))))
    assert np.abs(picture[0] - np.array(shares)).max() <= 0.5
    assert set(picture[1].ravel().tolist()) <= {60, 120}
    assert (error_colours(background, found, found)[0, 2] == error_colours(background, found, found)[0, 1]).all()


@pytest.mark.parametrize("kind", BLINDNESS)
def test_errors_are_told_apart_by_colour_blind_eyes(kind):
    # CIELAB distance of at least 20 between any two of: extra, missed, agreed, as they look on black.
    patches = np.array([[0.8 * np.array(EXTRA), 0.8 * np.array(MISSED), 0.35 * np.array(AGREED)]]) / 255
    linear = np.where(patches <= 0.04045, patches / 12.92, ((patches + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ BLINDNESS[kind].T, 0, 1)
    xyz = seen @ np.array([[0.4124, 0.2126, 0.0193], [0.3576, 0.7152, 0.1192], [0.1805, 0.0722, 0.9505]])
    f = np.cbrt(xyz / np.array([0.9505, 1.0, 1.089]))
    lab = np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1)[0]
    assert min(np.linalg.norm(lab[a] - lab[b]) for a, b in ((0, 1), (0, 2), (1, 2))) > 20


def test_probabilities_grow_lighter_and_nothing_else():
    ramp = probability_colours(np.linspace(0, 1, 101, dtype=np.float32)[None])[0].astype(float)
    lightness = ramp @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(lightness) > 0).all()


def test_hatching_leaves_what_counts():
    picture = np.random.default_rng(0).integers(0, 255, size=(6, 9, 3)).astype(np.uint8)
    counts = np.random.default_rng(1).random((6, 9)) > 0.5
    assert (hatched(picture, counts)[counts] == picture[counts]).all()


@given(rows=st.integers(1, 3000), columns=st.integers(1, 3000), side=st.integers(16, 640))
def test_shown_pictures_fit_and_keep_their_proportions(rows, columns, side):
    shown = shown_shape((rows, columns), side)
    assert 1 <= max(shown) <= side
    assert min(shown) >= 1
    if max(rows, columns) <= side:
        assert shown[0] % rows == shown[1] % columns == 0


def test_small_labels_grow_whole_and_large_views_keep_their_mean():
    labels = np.array([[1, 2, 3], [4, 5, 6]])
    assert (fitted_labels(labels, 6) == labels.repeat(2, 0).repeat(2, 1)).all()
    assert (fitted_view(labels[None].astype(np.float32), 6)[0] == labels.repeat(2, 0).repeat(2, 1)).all()
    view = np.random.default_rng(0).random((2, 64, 128)).astype(np.float32)
    shrunk = fitted_view(view, 32)
    assert shrunk.shape == (2, 16, 32)
    assert np.allclose(shrunk.mean((1, 2)), view.mean((1, 2)), atol=1e-5)


def test_small_pictures_come_back_exactly_and_large_ones_are_small():
    draw = np.random.default_rng(0)
    picture = draw.integers(0, 255, size=(30, 50, 3)).astype(np.uint8)
    assert (decoded(picture_uri(picture)) == picture).all()
    smooth = np.add.outer(np.arange(500), np.arange(700))[..., None] // 5 + draw.integers(0, 12, size=(500, 700, 3))
    uri = picture_uri(smooth.astype(np.uint8))
    assert uri.startswith("data:image/webp;base64,")
    assert np.abs(decoded(uri).astype(float) - smooth).mean() < 6


def test_pages_of_smaller_pictures_keep_fewer_of_them_exactly():
    # Noise of 300 × 400 takes far more than 16 kB and less than 160 kB as a grey PNG of few values.
    grain = np.random.default_rng(0).integers(0, 2, size=(300, 400, 1)).astype(np.uint8) * np.full(3, 200, np.uint8)
    assert picture_uri(grain).startswith("data:image/png")
    assert picture_uri(grain, side=160).startswith("data:image/webp")
    assert picture_uri(grain[:40, :50], side=160).startswith("data:image/png")


def test_a_case_shows_what_it_has_and_says_what_it_lacks(case):
    whole = view_case(case("a", "worst", seed=0, shape=(20, 30)), side=60)
    assert [panel.title for panel in whole.panels] == [
        "Teacher's view",
        "Student's view",
        "Label",
        "Teacher's map",
        "Baseline",
        "Baseline's errors",
        "Student",
        "Student's errors",
    ]
    assert all(panel.alt.startswith(f"a: {panel.title}") for panel in whole.panels)
    assert {decoded(panel.uri).shape for panel in whole.panels} == {(40, 60, 3)}
    assert [name for _, name in whole.panels[0].swatches] == ["nucleus", "membrane"]


def test_each_panel_shows_its_own_network(case):
    full = case("a", "best", seed=0, shape=(20, 30))
    parts = {"student_view": full.student_view, "student_channels": ("nucleus",), "label": full.label}
    perfect = type(full)(
        name="a",
        rank="best",
        student=full.label,
        baseline=np.zeros_like(full.label),
        teacher_map=full.teacher_map,
        **parts,
    )
    shown = {panel.title: decoded(panel.uri) for panel in view_case(perfect, side=30).panels if panel.uri}
    assert (shown["Baseline"] == grey(full.student_view, light=0.8)).all()
    assert (shown["Student"] != shown["Baseline"]).any()
    dim, wanted = grey(full.student_view, light=0.45), full.label > 0
    assert (shown["Student's errors"] == tint(dim, wanted, AGREED, 0.35)).all()
    assert (shown["Baseline's errors"] == tint(dim, wanted, MISSED, 0.8)).all()
    assert (shown["Teacher's map"] == probability_colours(full.teacher_map)).all()
    assert (shown["Student's view"] == false_colour(full.student_view, ["nucleus"])).all()


def test_what_a_run_did_not_have_has_no_panel_and_a_missing_label_is_said_to_be(case):
    full = case("a", "best", seed=0, shape=(20, 30))
    bare = type(full)(name="a", rank="best", student_view=full.student_view, student_channels=("nucleus",))
    panels = view_case(bare, side=60).panels
    assert [panel.title for panel in panels] == ["Student's view", "Label", "Student", "Student's errors"]
    assert [panel.title for panel in panels if panel.uri] == ["Student's view"]
    assert {panel.caption for panel in panels if not panel.uri} == {"not handed in"}
    alone = replace(full, teacher_view=None, teacher_map=None, baseline=None)
    words = {panel.title: panel.caption for panel in view_case(alone, side=60).panels}
    assert words["Student"] == "segmented"
    assert len(view_case(full, side=60).panels) == 8


def test_arrays_on_different_grids_are_refused(case):
    full = case("a", "best", seed=0, shape=(20, 30))
    with pytest.raises(ShapeError, match=r"'a': label is \(30, 20\) but the student's view is \(20, 30\)"):
        type(full)(
            name="a",
            rank="best",
            student_view=full.student_view,
            student_channels=("nucleus",),
            label=full.label.T.copy(),
        )
    with pytest.raises(ShapeError, match="has no pixels"):
        type(full)(name="a", rank="best", student_view=np.zeros((1, 0, 5), np.float32), student_channels=("n",))
