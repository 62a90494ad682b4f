"""Drawing in bulk: an image is a function of seed and number, wherever it was stopped; a model on disk is whole."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segdistill.data.readers import read_image
from segdistill.errors import DataError
from segdistill.synthesis.card import CARD, SynthesisCard, read_card
from segdistill.synthesis.denoiser import new_denoiser
from segdistill.synthesis.diffusion import Solving
from segdistill.synthesis.drawing import batches, draw_missing, drawn, file_name
from segdistill.synthesis.model_folder import WEIGHTS, load_denoiser, save_model
from segdistill.synthesis.numbers import Numbers, brought_to, in_numbers

SOLVING = Solving("ddim", 2)
NUMBERS = (Numbers((10.0, 0.0), (1000.0, 50.0), "uint16"), Numbers((0.0, 5.0), (200.0, 700.0), "uint16"))


def card_of(channels=("DAPI", "actin"), numbers=NUMBERS, side=32):
    return SynthesisCard(
        channels=channels,
        side=side,
        width=8,
        blocks=1,
        pixel_size=0.5,
        normalisation={"rule": "percentile"},
        numbers=numbers,
        how="for a test",
        images=("a", "b"),
        pixels=("c", "d"),
    )


@pytest.fixture(scope="module")
def network():
    return new_denoiser(channels=2, side=32, width=8, blocks=1, seed=0).eval()


def draw_all(network, folder, images=7, **changes):
    def place(number):
        return folder / file_name(number, card_of())

    usual = {"together": batches(images, 3), "seed": 5, "notice": lambda _: None}
    return draw_missing(network, card_of(), place, SOLVING, **usual | changes)


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_drawn_again_after_an_interruption_every_file_is_the_same(network, tmp_path):
    assert draw_all(network, tmp_path / "whole") == 7
    assert draw_all(network, tmp_path / "broken") == 7
    names = sorted(contents(tmp_path / "broken"))
    assert len(names) == 7
    for name in (names[1], names[5], names[6]):  # stopped in two batches at once, as no real kill could
        (tmp_path / "broken" / name).unlink()
    assert draw_all(network, tmp_path / "broken") == 3
    assert contents(tmp_path / "broken") == contents(tmp_path / "whole")
    assert draw_all(network, tmp_path / "broken") == 0


def test_images_differ_by_number_and_seed(network):
    pictures = drawn(network, [0, 1], SOLVING, seed=5)
    assert pictures.shape == (2, 2, 32, 32)
    assert 0 <= pictures.min() <= pictures.max() <= 1
    assert not np.allclose(pictures[0], pictures[1], atol=0.05)
    assert not np.allclose(pictures[0], drawn(network, [0, 1], SOLVING, seed=6)[0], atol=0.05)
    np.testing.assert_allclose(drawn(network, [1], SOLVING, seed=5)[0], pictures[1], atol=1e-4)


def test_files_have_the_range_type_and_names_of_the_data(network, tmp_path):
    draw_all(network, tmp_path, images=6)
    images = [read_image(path) for path in sorted(tmp_path.iterdir())]
    assert {image.array.dtype for image in images} == {np.dtype(np.uint16)}
    assert {image.channels for image in images} == {("DAPI", "actin")}
    assert {image.pixel_size for image in images} == {0.5}
    ranges = {(int(image.array[0].min() >= 10), int(image.array[1].min() >= 5)) for image in images}
    assert ranges == {(1, 0), (0, 1)}  # each has the range of one real image, and both occur
    assert file_name(3, card_of()) == "drawn_000003.ome.tif"
    picture = card_of(("red", "green", "blue"), (Numbers((0.0,) * 3, (255.0,) * 3, "uint8"),))
    assert file_name(3, picture) == "drawn_000003.png"


@given(st.sampled_from(["uint8", "uint16", "int16", "float32"]), st.integers(0, 1000))
def test_numbers_go_there_and_back(dtype, seed):
    draw = np.random.default_rng(seed)
    picture = draw.random((2, 3, 5))
    numbers = Numbers((0.0, 10.0), (200.0, 110.0), dtype)
    found = in_numbers(picture, numbers)
    assert found.dtype == dtype
    back = (found.astype(float) - np.array([0, 10])[:, None, None]) / np.array([200, 100])[:, None, None]
    assert np.abs(back - picture).max() <= 0.5 / 100 + 1e-6


def test_what_was_turned_round_is_turned_back():
    assert in_numbers(np.array([[[0.0, 1.0]]]), Numbers((5.0,), (105.0,), "uint8", True)).tolist() == [[[250, 150]]]


def test_a_range_beyond_its_type_is_cut_and_the_shorter_side_decides():
    assert in_numbers(np.ones((1, 1, 2)), Numbers((0.0,), (300.0,), "uint8")).tolist() == [[[255, 255]]]
    assert in_numbers(np.array([[[0.2, 0.8]]]), Numbers((0.0,), (1.0,), "bool")).tolist() == [[[False, True]]]
    assert brought_to(np.ones((2, 31, 60), np.float32), 64).shape == (2, 64, 124)


def test_a_model_comes_back_from_its_folder(network, tmp_path):
    written = save_model(tmp_path, network, card_of())
    assert read_card(tmp_path) == written
    again = load_denoiser(tmp_path, device="cpu")
    assert not again.training
    assert np.array_equal(drawn(again, [4], SOLVING, seed=1), drawn(network, [4], SOLVING, seed=1))
    assert "shows nobody" in (tmp_path / "README.md").read_text(encoding="utf-8")


def test_what_is_not_whole_is_refused(network, tmp_path):
    with pytest.raises(DataError, match=r"holds no diffusion model: it has no synthesis\.json"):
        load_denoiser(tmp_path, device="cpu")
    save_model(tmp_path, network, card_of())
    weights = (tmp_path / WEIGHTS).read_bytes()
    (tmp_path / WEIGHTS).write_bytes(weights[:-1])
    with pytest.raises(DataError, match=r"denoiser\.safetensors is missing, or is not what synthesis\.json"):
        load_denoiser(tmp_path, device="cpu")
    save_model(tmp_path, network, card_of(channels=("one",), numbers=()))
    with pytest.raises(DataError, match="lacks weights of this version's network"):
        load_denoiser(tmp_path, device="cpu")
    values = json.loads((tmp_path / CARD).read_text(encoding="utf-8"))
    (tmp_path / CARD).write_text(json.dumps(values | {"format": 9}), encoding="utf-8")
    with pytest.raises(DataError, match="no card of format 1"):
        read_card(tmp_path)
