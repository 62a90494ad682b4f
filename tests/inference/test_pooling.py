import numpy as np
import torch

from segdistill.data.image import Image
from segdistill.inference import pooling
from segdistill.inference.windows import View
from segdistill.networks import build_student


def student(name):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build_student(name, channels=1, outputs=2).eval()


def view(side, seed=0):
    ramp = np.linspace(0, 1, side, dtype=np.float32)
    noise = np.random.default_rng(seed).random((side, side)).astype(np.float32)
    image = Image((noise * ramp)[None], ("nucleus",), None, "a test")
    unit = np.ones(1, np.float32)
    return View(image, ("nucleus",), 0 * unit, unit)


def choose(network, views, score=lambda _: None):
    return pooling.choose_pooling(network, views, outputs=2, crop=32, score=score)


def test_a_network_that_does_not_pool_has_no_choice():
    network = student("unet-tiny")
    assert choose(network, [view(64)]) == (network, None)


def test_where_no_image_is_cut_nothing_is_measured_and_nothing_changed():
    network = student("unet-mobilenetv3")
    kept, found = choose(network, [view(64)])
    assert kept is network
    assert found == {"window": None, "whole": None, "sliding": None}
    assert choose(network, []) == (network, found)


def test_the_one_that_depends_less_on_the_tiles_is_taken(monkeypatch):
    network = student("unet-mobilenetv3")
    for whole, sliding, window in ((0.90, 0.95, 32), (0.95, 0.90, None), (0.9, 0.9, None)):
        told = iter((whole, sliding))
        monkeypatch.setattr(pooling, "offset_agreement", lambda *_, told=told, **__: next(told))
        kept, found = choose(network, [view(64)])
        assert found == {"window": window, "whole": whole, "sliding": sliding}
        assert (kept is network) == (window is None)


def test_it_is_not_taken_where_the_validation_images_suffer(monkeypatch):
    network = student("unet-mobilenetv3")
    for loss, taken in ((0.004, True), (0.006, False)):
        told = iter((0.90, 0.95))
        monkeypatch.setattr(pooling, "offset_agreement", lambda *_, told=told, **__: next(told))
        kept, _ = choose(network, [view(64)], lambda each, loss=loss: 0.8 if each is network else 0.8 - loss)
        assert (kept is not network) == taken


def test_tiles_of_a_network_that_sees_no_further_than_the_halo_agree_wherever_they_lie():
    assert pooling.offset_agreement(student("unet-tiny"), [view(448)], outputs=2) == 1.0


def test_what_pools_over_a_tile_depends_on_where_it_lies():
    found = pooling.offset_agreement(student("unet-mobilenetv3"), [view(448)], outputs=2)
    assert found is not None
    assert found < 1.0
