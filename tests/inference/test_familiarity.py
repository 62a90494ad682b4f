"""Images unlike the training: what is measured, what is said, and that users are told."""

import warnings

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import nn

from segdistill.data.image import Image
from segdistill.data.normalisation import PercentileRule
from segdistill.inference import Options, predict_files
from segdistill.inference.api import UnlikeTraining, predict
from segdistill.inference.familiarity import (
    FEWEST,
    chosen_of,
    familiar_of,
    unlike,
    unlike_in_size,
)
from segdistill.inference.features import appearance_of
from segdistill.inference.windows import View, view_of
from segdistill.networks.build import build_student
from segdistill.networks.model import Model

RULE = PercentileRule(0.0, 100.0)
CPU = Options(device="cpu")


def tissue(seed, *, height=60, width=90):
    draw = np.random.default_rng(seed)
    plane = ndimage.gaussian_filter(draw.random((height, width)), 2)
    return ((plane - plane.min()) / np.ptp(plane) * 1000).astype(np.uint16)


def view(plane):
    return view_of(Image(plane[None], ("nucleus",), None, "made up"), ("nucleus",), RULE)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return build_student("unet-tiny", channels=1, outputs=2).eval()


def seen_by(network, planes):
    return [appearance_of(network, view(plane), device="cpu") for plane in planes]


@pytest.fixture(scope="module")
def familiar(network):
    seen = seen_by(network, [tissue(seed) for seed in range(12)])
    return familiar_of(seen, [f"patient{number}" for number in range(12)], ("nucleus",))


def test_the_look_of_a_channel_by_hand():
    # Pixels 0 and 1 in turn: mean ½, deviation ½; every step to a neighbour is 1, so log(1.001 / 0.501).
    board = View(
        Image(np.indices((4, 6)).sum(axis=0)[None] % 2, ("a",), None, "board"),
        ("a",),
        np.zeros(1, np.float32),
        np.ones(1, np.float32),
    )
    found = appearance_of(nn.Identity(), board, device="cpu")
    np.testing.assert_allclose(found.look, [0.5, 0.5, np.log(1.001 / 0.501)])
    assert found.features is None


def test_training_images_and_their_like_are_familiar(network, familiar):
    for plane in [tissue(seed) for seed in range(40)]:
        assert unlike(familiar, appearance_of(network, view(plane), device="cpu")) == ()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda plane: ndimage.gaussian_filter(plane.astype(float), 6), "sharpness of nucleus is"),
        (lambda plane: plane + np.random.default_rng(0).normal(0, 300, plane.shape), "sharpness of nucleus is"),
        (lambda plane: plane.astype(float) ** 4, "brightness of nucleus is"),
    ],
    ids=["blurred", "noisy", "dim but for a few spots"],
)
def test_what_differs_is_named(network, familiar, change, words):
    found = unlike(familiar, appearance_of(network, view(change(tissue(99))), device="cpu"))
    assert found[0].startswith(words)
    assert "in training" in found[0]


def test_a_brighter_exposure_of_the_same_is_familiar(network, familiar):
    once, again = (appearance_of(network, view(tissue(99) * factor), device="cpu") for factor in (1, 20))
    np.testing.assert_allclose(once.look, again.look, atol=1e-3)
    np.testing.assert_allclose(once.features, again.features, atol=1e-3)
    assert unlike(familiar, again) == ()


def test_features_alone_can_be_unlike(network, familiar):
    usual = appearance_of(network, view(tissue(3)), device="cpu")
    far = type(usual)(usual.look, usual.features + 1)
    (words,) = unlike(familiar, far)
    assert words.startswith("its features are")


def test_of_few_groups_nothing_is_said_and_of_one_patient_images_are_not_compared(network):
    seen = seen_by(network, [tissue(seed) for seed in range(FEWEST)])
    assert familiar_of(seen, ["one patient"] * FEWEST, ("nucleus",)) is None
    assert familiar_of(seen, list("abcdef"), ("nucleus",)) is not None
    # Every image twice: were copies compared, an image would lie at no distance from the nearest and the limit be 0.
    twice = familiar_of(seen + seen, list("abcdef") * 2, ("nucleus",))
    assert twice["feature_limit"] == pytest.approx(familiar_of(seen, list("abcdef"), ("nucleus",))["feature_limit"])


def test_a_network_of_unknown_insides_is_judged_by_looks_alone():
    class Strange(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = nn.Flatten()

        def forward(self, image):
            self.encoder(image)
            return image

    found = appearance_of(Strange(), view(tissue(0)), device="cpu")
    assert found.features is None


def test_of_a_huge_image_a_few_blocks_are_read():
    class Slide:
        shape, channels, source, pixel_size = (1, 50_000, 70_000), ("nucleus",), "slide", None

        def __init__(self):
            self.read_pixels = 0

        dtype = np.dtype(float)

        def close(self):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def read(self, window):
            rows, columns = (span.stop - span.start for span in window)
            self.read_pixels += rows * columns
            return np.full((1, rows, columns), float(window[0].start % 7))

    slide = Slide()
    appearance_of(
        nn.Identity(), View(slide, ("nucleus",), np.zeros(1, np.float32), np.full(1, 7, np.float32)), device="cpu"
    )
    assert slide.read_pixels <= 36 * 256**2


def test_kept_images_are_spread_evenly():
    assert chosen_of(list("abc")) == ["a", "b", "c"]
    many = chosen_of([str(number) for number in range(1000)])
    assert (many[0], many[-1], len(set(many))) == ("0", "999", len(many))


@pytest.fixture
def model(bright, familiar):
    def make(**card):
        whole = bright("nucleus", familiar={**familiar, "features": None, "feature_limit": None}, **card)
        return Model(whole.module, whole.card)

    return make


def test_predict_says_which_images_are_unlike_and_goes_on(tmp_path, model, tif, records):
    for name, plane in (("usual", tissue(50)), ("blurred", ndimage.gaussian_filter(tissue(51), 6))):
        tif(tmp_path / "in" / f"{name}.tif", plane, ["nucleus"])
    told = []
    summary = predict_files(model(), [tmp_path / "in"], tmp_path / "out", options=CPU, notice=told.append)
    assert summary.done == ("blurred", "usual")
    assert list(summary.unlike) == ["blurred"]
    assert any("blurred" in line and "Unlike the training images: sharpness of nucleus" in line for line in told)
    assert {record["name"]: bool(record["unlike_training"]) for record in records(tmp_path / "out")} == {
        "usual": False,
        "blurred": True,
    }


def test_a_pixel_size_that_is_not_known_or_not_the_models_is_told(tmp_path, model, tif):
    tif(tmp_path / "in" / "unknown.tif", tissue(50), ["nucleus"])
    tif(tmp_path / "in" / "equal.tif", tissue(51), ["nucleus"], pixel_size=0.5)
    tif(tmp_path / "in" / "other.tif", tissue(52), ["nucleus"], pixel_size=0.25)
    options = Options(device="cpu", pixel_size="ignore")
    summary = predict_files(model(pixel_size=0.5), [tmp_path / "in"], tmp_path / "out", options=options)
    assert summary.unlike == {
        "other": ("its pixels are 0.25 µm, in training 0.5 µm",),
        "unknown": ("it does not say its pixel size, which was 0.5 µm in training",),
    }
    assert unlike_in_size(0.3, model().card) == ()


def test_in_python_it_is_a_warning_of_its_own(model):
    with pytest.warns(UnlikeTraining, match="sharpness of nucleus"):
        predict(model(), ndimage.gaussian_filter(tissue(51), 6))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        predict(model(pixel_size=0.5), tissue(50))  # an array is taken to have the model's pixel size
