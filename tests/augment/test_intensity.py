import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from segdistill.augment import Jitter, jitter_intensity
from segdistill.errors import ConfigError, ShapeError

STILL = {"gain": (1.0, 1.0), "offset": (0.0, 0.0), "gamma": (1.0, 1.0), "noise": (0.0, 0.0)}


def jitter(image, *, seed=0, step=0, slots=None, **ranges):
    slots = range(len(image)) if slots is None else slots
    return jitter_intensity(image, seed=seed, step=step, slots=slots, ranges=Jitter(**ranges))


def ramp(count=2, channels=2):
    return torch.linspace(0, 1, 7 * 11).reshape(1, 1, 7, 11).repeat(count, channels, 1, 1)


def test_no_change_is_no_change():
    torch.testing.assert_close(jitter(ramp(), **STILL), ramp())


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        ({"gain": (0.5, 0.5)}, lambda image: 0.5 * image),
        ({"offset": (0.25, 0.25)}, lambda image: (image + 0.25).clamp(max=1)),
        ({"gamma": (2.0, 2.0)}, lambda image: image**2),
        ({"gain": (2.0, 2.0), "gamma": (0.5, 0.5)}, lambda image: (2 * image.sqrt()).clamp(max=1)),
    ],
)
def test_each_change_by_hand(ranges, expected):
    torch.testing.assert_close(jitter(ramp(), **{**STILL, **ranges}), expected(ramp()))


def test_noise_has_the_deviation_asked_for():
    grey = torch.full((1, 2, 150, 200), 0.5)
    noise = jitter(grey, **{**STILL, "noise": (0.05, 0.05)}) - 0.5
    assert noise.std(dim=(2, 3)).flatten().tolist() == pytest.approx([0.05, 0.05], rel=0.02)
    assert noise.mean().abs() < 0.001


@given(seed=st.integers(0, 10**6), step=st.integers(0, 10**6), parted=st.integers(1, 3))
def test_parts_of_a_batch_are_the_batch(seed, step, parted):
    image = ramp(4)
    whole = jitter(image, seed=seed, step=step)
    parts = [jitter(image[p], seed=seed, step=step, slots=range(4)[p]) for p in (slice(parted), slice(parted, None))]
    assert torch.equal(torch.cat(parts), whole)
    assert whole.min() >= 0
    assert whole.max() <= 1


def test_every_channel_sample_step_and_seed_is_changed_in_its_own_way():
    variants = [jitter(ramp(), seed=seed, step=step) for seed in (0, 1) for step in (0, 1)]
    planes = torch.cat([variant.flatten(0, 1) for variant in variants])
    assert len({plane.sum().item() for plane in planes}) == 16


def test_the_callers_generator_and_image_are_left_alone():
    image = ramp()
    torch.manual_seed(0)
    expected = torch.rand(2)
    torch.manual_seed(0)
    jitter(image)
    assert torch.equal(torch.rand(2), expected)
    assert torch.equal(image, ramp())


def test_an_empty_batch_stays_empty():
    assert jitter(ramp(0)).shape == (0, 2, 7, 11)


def test_a_slot_for_every_image():
    with pytest.raises(ShapeError, match="1 slots but 2 images"):
        jitter(ramp(), slots=[0])


@pytest.mark.parametrize("name", ["gain", "offset", "gamma", "noise"])
@pytest.mark.parametrize("bounds", [(2.0, 1.0), (float("nan"), 1.0), (0.5, float("inf"))])
def test_impossible_ranges_are_refused_by_name(name, bounds):
    with pytest.raises(ConfigError, match=f"{name} is drawn from"):
        Jitter(**{name: bounds})


@pytest.mark.parametrize(("name", "low"), [("gain", 0.0), ("gamma", 0.0), ("noise", -0.1)])
def test_ranges_that_make_no_sense_are_refused(name, low):
    with pytest.raises(ConfigError, match=f"{name} is drawn from {low}"):
        Jitter(**{name: (low, 1.0)})
