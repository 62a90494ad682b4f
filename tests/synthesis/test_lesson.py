"""The lesson of denoising: what is asked is a function of (seed, step, slot), and a model learns from it."""

import numpy as np
import pytest
import torch

from segdistill.errors import ConfigError, MissingExtra
from segdistill.settings import Synthesize, validated
from segdistill.settings.synthesize import Diffusing
from segdistill.synthesis.denoiser import WIDTHS, Denoiser, Guided, diffusers, new_denoiser
from segdistill.synthesis.lesson import DenoisingLesson, fit_denoiser
from segdistill.training.entries import Entry
from segdistill.training.pretraining import PretrainingProblem, Sights

CPU = torch.device("cpu")


def entries(count, shape=(32, 40), seed=0):
    draw = np.random.default_rng(seed)
    return [
        Entry(
            f"image{place}",
            draw.random((2, *shape)).astype(np.float32),
            np.zeros((0, *shape), np.int32),
            np.zeros(0, dtype=bool),
            np.ones(shape, dtype=bool),
        )
        for place in range(count)
    ]


def lesson(**changes):
    usual = {"seed": 3, "batch_size": 6, "crop": 32, "scale": (1.0, 1.0), "flips": True, "turns": False}
    sights = Sights(**usual | {"jitter": None} | changes)
    return DenoisingLesson(new_denoiser(channels=2, side=32, width=8, blocks=1, seed=0), entries(4), sights)


class Silent(torch.nn.Module):
    def forward(self, noisy, time, maps):  # noqa: ARG002
        return torch.zeros_like(noisy)


def test_a_sample_depends_on_its_slot_and_not_on_its_batch():
    taught = lesson()
    whole = taught.collate(taught.samples(2, range(6)), 2, CPU)
    part = taught.collate(taught.samples(2, range(3, 5)), 2, CPU)
    for name in ("noisy", "time", "velocity"):
        assert torch.equal(getattr(whole, name)[3:5], getattr(part, name))
    other = taught.collate(taught.samples(3, range(6)), 3, CPU)
    assert not torch.equal(whole.time, other.time)
    assert whole.noisy.shape == (6, 2, 32, 32)


def test_masks_are_told_and_now_and_then_left_out():
    network = new_denoiser(channels=2, side=32, width=8, blocks=1, seed=0, maps=1)
    masked = []
    for entry in entries(4, shape=(32, 32)):
        mask = np.where(entry.image[:1] > 0.5, 1, -1).astype(np.float32)
        masked.append(Entry(entry.name, np.concatenate([entry.image, mask]), entry.planes, entry.known, entry.counts))
    sights = Sights(seed=1, batch_size=200, crop=32, scale=(1.0, 1.0), flips=True, turns=True, jitter=None)
    taught = DenoisingLesson(network, masked, sights, left_out=0.3)
    batch = taught.collate(taught.samples(0, range(200)), 0, CPU)
    assert batch.noisy.shape == (200, 2, 32, 32)
    left_out = (batch.maps == 0).flatten(1).all(dim=1)
    assert 40 <= left_out.sum() <= 80  # 60 of 200 are expected; these are 3 deviations away
    image = taught.collate(taught.samples(0, range(200)), 0, CPU)
    shares = taught._shares[batch.time][:, None, None, None]
    clean = shares.sqrt() * image.noisy - (1 - shares).sqrt() * image.velocity
    told = ~left_out
    assert torch.equal(torch.sign(clean[told, :1]), batch.maps[told])  # turned with its image, to the pixel
    part = taught.collate(taught.samples(0, range(7, 9)), 0, CPU)
    assert torch.equal(part.maps, batch.maps[7:9])


def test_guidance_exaggerates_the_difference_that_masks_make():
    class Made(Denoiser):
        def __init__(self):
            torch.nn.Module.__init__(self)

        def forward(self, noisy, time, maps=None):  # noqa: ARG002
            return noisy + 1 if maps is None else noisy + maps

    noisy, time, maps = torch.zeros(1, 1, 1, 2), torch.zeros(1, dtype=torch.long), torch.tensor([[[[1.0, 3.0]]]])
    # Freely 1 and 1, told 1 and 3: with 2, 1 + 2 · 0 and 1 + 2 · 2.
    for guidance, wanted in ((0.0, [1.0, 1.0]), (1.0, [1.0, 3.0]), (2.0, [1.0, 5.0])):
        assert Guided(Made(), maps, guidance)(noisy, time).flatten().tolist() == wanted


def test_masks_that_nobody_gives_are_as_masks_that_nobody_knows():
    network = new_denoiser(channels=2, side=32, width=8, blocks=1, seed=0, maps=3).eval()
    noisy, time = torch.randn(1, 2, 32, 32), torch.tensor([500])
    with torch.no_grad():
        free = network(noisy, time)
        assert torch.equal(free, network(noisy, time, torch.zeros(1, 3, 32, 32)))
        assert not torch.equal(free, network(noisy, time, torch.ones(1, 3, 32, 32)))


def test_parts_of_a_step_add_up_to_it():
    taught = lesson()
    problem = PretrainingProblem(taught, weight_decay=0.0)
    batches = [taught.collate(taught.samples(0, slots), 0, CPU) for slots in (range(6), range(2), range(2, 6))]
    totals = problem.weights(batches[0])
    assert totals["velocity"].item() == 6
    with torch.no_grad():
        whole, *parts = (problem.terms(problem.module, batch, totals)["velocity"] for batch in batches)
    torch.testing.assert_close(sum(parts), whole)


def test_a_network_that_says_nothing_is_off_by_the_velocity():
    taught = lesson()
    batch = taught.collate(taught.samples(0, range(6)), 0, CPU)
    off = taught.values(Silent(), batch)["velocity"]
    torch.testing.assert_close(off, batch.velocity.square().flatten(1).mean(dim=1))
    assert taught.weights(batch)["velocity"].shape == off.shape


def test_it_learns(tmp_path):
    network = new_denoiser(channels=2, side=32, width=8, blocks=1, seed=0)
    flat = [Entry(e.name, np.full_like(e.image, 0.8), e.planes, e.known, e.counts) for e in entries(3)]
    taught = DenoisingLesson(network, flat, lesson().sights)
    batch = taught.collate(taught.samples(99, range(6)), 99, CPU)

    def off():
        with torch.no_grad():
            return taught.values(network, batch)["velocity"].mean().item()

    before = off()
    protocol = Diffusing(steps=25, batch_size=6, learning_rate=2e-3, ema=0.5)
    fit_denoiser(tmp_path, network, flat, protocol, seed=0, device="cpu", notice=lambda _: None)
    assert off() < 0.5 * before


@pytest.mark.parametrize("side", WIDTHS)
def test_its_coarsest_maps_are_8_by_8(side):
    with torch.device("meta"):
        network = Denoiser(channels=3, side=side, width=8, blocks=1)
    assert side // 2 ** (len(network.unet.down_blocks) - 1) == 8
    assert network.unet.conv_in.in_channels == network.unet.conv_out.out_channels == 3


def test_what_there_is_no_network_for_is_refused():
    with pytest.raises(ConfigError, match="no denoiser for images of 48 pixels with maps 8 wide"):
        Denoiser(channels=1, side=48, width=8, blocks=1)
    with pytest.raises(ConfigError, match="maps 12 wide"):
        Denoiser(channels=1, side=32, width=12, blocks=1)


def test_without_the_extra_its_name_is_told(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "diffusers", None)
    with pytest.raises(MissingExtra, match=r"needs diffusers.*segdistill\[diffusion\]"):
        diffusers()


def test_settings_that_do_nothing_are_refused():
    def refused(match, **changes):
        with pytest.raises(ConfigError, match=match):
            validated(Synthesize, {"data": "data", "out": "out", **changes})

    refused(r"size: must be one of 32, 64, 128, 256", size=100)
    refused("teacher_channels, least_certain is void without a teacher", teacher_channels=("a",), least_certain=0.2)
    refused("teacher_channels must be given", teacher="sam-vit-b")
    refused("features is void with held_back 0", held_back=0, features="sam-vit-b")
    refused("masks is void without given_masks", masks={"guidance": 3})
    refused("intensity must be 0", protocol={"intensity": 0.2})
    refused("validations is void", protocol={"validations": 3})
    refused("multiple of 8", network={"width": 12})
    given = validated(Synthesize, {"data": "data", "out": "out", "teacher": "t", "teacher_channels": ("a",)})
    assert given.least_certain_in_use == 0.1
