import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segdistill.errors import ConfigError
from segdistill.inference.halo import measure_reach
from segdistill.networks import Model, ModelCard, build_student, load_model, save_model
from segdistill.networks.local_pooling import LocalSqueeze, local_mean, pool_locally, pools_over_all

CROP = 64


def student(name):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build_student(name, channels=1, outputs=2).eval()


@settings(max_examples=20, deadline=None)
@given(height=st.integers(1, 9), width=st.integers(1, 9), tall=st.integers(0, 6), wide=st.integers(0, 6))
def test_a_local_mean_is_the_mean_of_what_there_is_of_the_window(height, width, tall, wide):
    torch.manual_seed(height * 10 + width)
    x = torch.rand(1, 1, height, width)
    found = local_mean(x, (2 * tall + 1, 2 * wide + 1))[0, 0].numpy()
    plane = x[0, 0].numpy()
    for y in range(height):
        for z in range(width):
            window = plane[max(0, y - tall) : y + tall + 1, max(0, z - wide) : z + wide + 1]
            assert found[y, z] == pytest.approx(float(window.mean()), abs=1e-5)


@pytest.mark.parametrize(
    "name", ["unet-mobilenetv3", "unet-efficientnet-b0", "unet-regnety_002", "unet-ese_vovnet19b_dw"]
)
def test_every_squeeze_is_changed_and_the_weights_keep_their_names(name):
    network = student(name)
    assert pools_over_all(network)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    pool_locally(network, crop=CROP, channels=1)
    assert not pools_over_all(network)
    assert sum(isinstance(module, LocalSqueeze) for module in network.modules()) > 0
    after = network.state_dict()
    assert list(before) == list(after)
    assert all(torch.equal(value, after[key]) for key, value in before.items())


def test_a_window_that_covers_everything_changes_nothing():
    whole, local = student("unet-mobilenetv3"), student("unet-mobilenetv3")
    pool_locally(local, crop=4 * CROP, channels=1)  # from any place of the crop it reaches beyond every edge
    image = torch.rand(1, 1, CROP, CROP)
    with torch.inference_mode():
        assert torch.allclose(whole(image), local(image), atol=1e-5)


def test_what_is_far_away_counts_no_more():
    local = pool_locally(student("unet-mobilenetv3"), crop=32, channels=1)
    reach = measure_reach(local, channels=1)
    assert reach is not None
    assert measure_reach(student("unet-mobilenetv3"), channels=1) is None
    torch.manual_seed(1)
    image = torch.rand(1, 1, 64, 1024)
    other = image.clone()
    other[..., 512 + reach + 64 :] = 0
    with torch.inference_mode():
        one, two = local(image)[..., :512], local(other)[..., :512]
    assert torch.allclose(one, two, atol=1e-5)


def test_a_network_without_such_layers_is_refused():
    with pytest.raises(ConfigError, match="no squeeze-excite layer"):
        pool_locally(student("unet-resnet18"), crop=CROP, channels=1)


def test_it_is_left_in_training_or_in_use_as_it_was():
    assert pool_locally(student("unet-mobilenetv3").train(), crop=CROP, channels=1).training
    assert not pool_locally(student("unet-mobilenetv3"), crop=CROP, channels=1).training


def test_a_model_pools_as_its_card_says_once_it_is_read(tmp_path):
    network = student("unet-mobilenetv3")
    image = torch.rand(1, 1, 2 * CROP, 2 * CROP)
    card = ModelCard.model_validate(
        {
            "architecture": "unet-mobilenetv3",
            "channels": ("nucleus",),
            "normalisation": {"rule": "full-range"},
            "structures": ({"name": "cell", "instances": True},),
            "crop": CROP,
            "pooling": {"window": CROP, "whole": 0.9, "sliding": 0.99},
        }
    )
    save_model(tmp_path / "local", Model(pool_locally(network, crop=CROP, channels=1), card))
    save_model(tmp_path / "whole", Model(network, card.model_copy(update={"pooling": None})))
    local, whole = (load_model(tmp_path / name).module for name in ("local", "whole"))
    with torch.inference_mode():
        assert np.array_equal(local(image), network(image))
        assert not np.allclose(whole(image), network(image), atol=1e-5)
    page = (tmp_path / "local" / "README.md").read_text(encoding="utf-8")
    assert "over 64 px around each place; masks of tiles at two offsets then have Dice 0.9900, and 0.9000 over" in page
