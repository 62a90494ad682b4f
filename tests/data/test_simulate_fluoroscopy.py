"""Simulated swallows: equal seeds, what moves when, overlaps that add up, and a data set that can be read."""

import csv
import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import tifffile
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from segdistill.data.datasets import read_dataset
from segdistill.data.sample import read_sample
from segdistill.data.simulate.fields import stream
from segdistill.data.simulate.fluoroscopy import STRUCTURES, FluoroscopySettings, simulate_clip, write_fluoroscopy
from segdistill.data.simulate.fluoroscopy.anatomy import Chain, draw_person, pose
from segdistill.data.simulate.fluoroscopy.rays import Machine, thickness
from segdistill.data.simulate.fluoroscopy.swallow import draw_swallow
from segdistill.errors import ConfigError

SMALL = FluoroscopySettings(height=64, width=64, frames=30, rate=10.0)
MODEL = replace(SMALL, height=128, width=128, variation=0.0)


@pytest.fixture(scope="module")
def model():
    return simulate_clip(0, MODEL)


def middle(mask):
    """y, x of a mask."""
    return np.argwhere(mask).mean(axis=0)


def plane(name):
    return STRUCTURES.index(name)


def test_equal_seeds_give_equal_clips_and_other_seeds_other_people():
    one, again, other = (simulate_clip(seed, SMALL) for seed in (5, 5, 6))
    assert (one.frames == again.frames).all()
    assert (one.masks == again.masks).all()
    assert (one.masks != other.masks).any(axis=(0, 2, 3)).all()


def test_noise_moves_nothing():
    quiet, loud = (simulate_clip(3, replace(SMALL, photons=photons)) for photons in (10000.0, 50.0))
    assert (quiet.masks == loud.masks).all()
    rough = [np.abs(np.diff(clip.frames.astype(float), axis=2)).mean() for clip in (quiet, loud)]
    assert rough[1] > 3 * rough[0]


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32))
@example(497)  # whose pharynx is a few pixels in a smaller image, half of which go at once
def test_everybody_has_all_twelve_and_they_move_without_jumps(seed):
    # Frames too close for anything to be far from before, and large enough for thin things to keep their pixels.
    clip = simulate_clip(seed, replace(SMALL, rate=25.0, height=128, width=128))
    assert clip.masks.any(axis=(2, 3)).any(axis=0).all()
    for place, name in enumerate(STRUCTURES):
        present = clip.masks[:, place].any(axis=(1, 2))
        if name != "bolus":
            assert present.all()
            sizes = clip.masks[:, place].sum(axis=(1, 2))
            assert sizes.max() < 4 * sizes.min() + 40
        places = [middle(mask) for mask in clip.masks[present, place]]
        steps = [np.linalg.norm(after - before) for before, after in pairwise(places)]
        assert max(steps) < (0.2 if name == "bolus" else 0.06) * MODEL.height


def test_the_bolus_goes_down_and_leaves_and_never_comes_back(model):
    there = model.masks[:, plane("bolus")].any(axis=(1, 2))
    assert there[0]
    assert not there[-1]
    assert (np.diff(there.astype(int)) <= 0).all()
    heights = [middle(mask)[0] for mask in model.masks[there, plane("bolus")]]
    assert heights[-1] > heights[0] + 0.4 * MODEL.height


def test_in_a_swallow_hyoid_and_larynx_rise_and_the_epiglottis_tips_over_the_airway(model):
    swallow = draw_swallow(stream(0, "swallow"), MODEL.frames / MODEL.rate, 0.0)
    lift = [swallow.at(frame / MODEL.rate).lift for frame in range(MODEL.frames)]
    top = int(np.argmax(lift))
    assert max(lift) == 1
    for name in ("hyoid", "thyroid_cartilage", "epiglottis"):
        rest, raised = (middle(model.masks[frame, plane(name)]) for frame in (0, top))
        assert raised[0] < rest[0]  # up
    rest, raised = (middle(model.masks[frame, plane("hyoid")]) for frame in (0, top))
    assert raised[1] < rest[1]  # forward
    flat = [np.ptp(np.argwhere(model.masks[frame, plane("epiglottis")]), axis=0) for frame in (0, top)]
    assert flat[0][0] > flat[0][1]  # upright at rest
    assert flat[1][1] > flat[1][0]  # lying when lifted
    assert (middle(model.masks[0, plane("vertebrae")]) == middle(model.masks[top, plane("vertebrae")])).all()


def test_light_is_hardly_ever_cut_off():
    cut = [(simulate_clip(seed, SMALL).frames == 255).mean() for seed in range(12)]
    assert max(cut) < 0.02


def test_structures_overlap_and_shine_through():
    # What two tubes take of the beam where they cross is the sum of what each takes there.
    quiet = replace(SMALL, photons=1e5, scatter=0.0, blur=0.0, lag=0.0, contrast=1.0)
    across = thickness([Chain(np.array([[0.5, 0.0], [0.5, 1.0]]), np.array([0.1, 0.1]))], 64, 64)
    upright = thickness([Chain(np.array([[0.0, 0.5], [1.0, 0.5]]), np.array([0.1, 0.1]))], 64, 64)
    density = {"across": 0.5, "upright": 0.5}

    def seen(*names):
        lengths = {"across": across, "upright": upright}
        frame = Machine(stream(0, "rays"), quiet).film({name: lengths[name] for name in names}, density)
        return -2 * np.log(np.maximum(frame, 1).astype(float))  # frames are square roots

    none, both = seen(), seen("across", "upright")
    crossing = (across > 0.7) & (upright > 0.7)
    assert crossing.sum() > 20
    expected = (seen("across") - none) + (seen("upright") - none)
    assert np.abs((both - none) - expected)[crossing].mean() < 0.05
    assert (both - none)[crossing].mean() == pytest.approx(0.5 * (across + upright)[crossing].mean(), rel=0.1)
    clip = simulate_clip(1, SMALL)
    assert (clip.masks.sum(axis=1) > 1).any(axis=(1, 2)).all()


def test_a_ray_s_length_is_a_chord():
    radius, size = 0.2, 100
    tube = Chain(np.array([[0.5, -1.0], [0.5, 2.0]]), np.array([radius, radius]))
    got = thickness([tube], size, size)[:, 50]
    away = (np.arange(size) + 0.5) / size - 0.5
    assert got == pytest.approx(np.sqrt(np.clip(1 - (away / radius) ** 2, 0, None)), abs=1e-9)
    assert thickness([Chain(tube.points + np.array([3.0, 0.0]), tube.radii)], size, size).max() == 0  # beyond the frame


def test_without_variation_everybody_is_the_model():
    people = [draw_person(stream(seed, "anatomy"), 0.0) for seed in (1, 2)]
    moment = draw_swallow(stream(1, "swallow"), 2.0, 0.0).at(0.5)
    poses = [pose(person, moment) for person in people]
    for name in STRUCTURES:
        for one, other in zip(*(each[name] for each in poses), strict=True):
            assert (one.points == other.points).all()
            assert (one.radii == other.radii).all()


def test_a_data_set_is_read_as_overlapping_structures_grouped_by_clip(tmp_path):
    small = replace(SMALL, frames=3)
    folder = tmp_path / "swallows"
    write_fluoroscopy(folder, clips=2, seed=4, settings=small)
    names = {1 << place: name for place, name in enumerate(STRUCTURES)}
    dataset = read_dataset(folder / "manifest.csv", label_kind="bits", value_names=names)
    assert [structure.name for structure in dataset.structures] == list(STRUCTURES)
    assert len(dataset.cases) == 6
    assert {case.group for case in dataset.cases} == {"clip_0000", "clip_0001"}
    sample = read_sample(dataset.cases[0], dataset)
    bits = tifffile.imread(folder / "labels" / "clip_0000_frame_0000.tif")
    assert sample.planes.shape == (12, 64, 64)
    assert ((bits >> 3 & 1) == sample.planes[3]).all()
    assert np.asarray(Pillow.open(folder / "images" / "clip_0000_frame_0000.png")).shape == (64, 64)


def test_an_interrupted_one_goes_on_and_another_is_refused(tmp_path):
    small = replace(SMALL, frames=2)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    for folder in (whole, broken):
        write_fluoroscopy(folder, clips=2, seed=0, settings=small)
    lost = broken / "labels" / "clip_0001_frame_0001.tif"
    kept = broken / "images" / "clip_0000_frame_0000.png"
    lost.unlink()
    before = kept.stat().st_mtime_ns
    write_fluoroscopy(broken, clips=2, seed=0, settings=small)
    assert kept.stat().st_mtime_ns == before
    assert lost.read_bytes() == (whole / "labels" / lost.name).read_bytes()
    with (whole / "manifest.csv").open() as handle:
        assert [row["group"] for row in csv.DictReader(handle)] == ["clip_0000"] * 2 + ["clip_0001"] * 2
    assert json.loads((whole / "fluoroscopy.json").read_text())["settings"]["frames"] == 2
    with pytest.raises(ConfigError, match="simulated clips of other settings"):
        write_fluoroscopy(broken, clips=2, seed=1, settings=small)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [({"frames": 0}, "frames is 0"), ({"lag": 1.0, "photons": 0.0}, "photons is 0.0, .*; lag is 1.0")],
)
def test_what_no_clip_can_have_is_refused(wrong, words):
    with pytest.raises(ConfigError, match=words):
        FluoroscopySettings(**wrong)


def test_no_clip_has_a_negative_seed_and_no_data_set_none(tmp_path):
    with pytest.raises(ConfigError, match="seed of a simulated clip is -1"):
        simulate_clip(-1, SMALL)
    with pytest.raises(ConfigError, match="clips is 0"):
        write_fluoroscopy(tmp_path / "x", clips=0, seed=0, settings=SMALL)
    assert not (tmp_path / "x").exists()


def test_films_are_a_data_set_of_the_same_clips(tmp_path):
    pytest.importorskip("av", reason="PyAV is not installed: pip install 'segdistill[video]'")
    small = replace(SMALL, height=48, width=64, frames=3)
    for _ in range(2):
        write_fluoroscopy(tmp_path, clips=2, seed=4, settings=small, films=True)
    dataset = read_dataset(tmp_path / "clips", label_kind="binary")
    assert [case.name for case in dataset.cases] == [
        f"clip_000{clip}/000{frame}" for clip in (0, 1) for frame in (1, 2, 3)
    ]
    assert {case.group for case in dataset.cases} == {"clip_0000", "clip_0001"}
    sample = read_sample(dataset.cases[4], dataset)
    assert (sample.image.array[0] == np.asarray(Pillow.open(tmp_path / "images" / "clip_0001_frame_0001.png"))).all()
    bits = tifffile.imread(tmp_path / "labels" / "clip_0001_frame_0001.tif")
    for structure, plane in zip(dataset.structures, sample.planes, strict=True):
        assert (plane == (bits >> STRUCTURES.index(structure.name)) % 2).all()
