import numpy as np
import pytest
import torch

from segdistill.errors import ConfigError, DataError
from segdistill.teachers.sam import encode
from segdistill.teachers.sam_probe import Fit, Lesson, fit_probe, load_probe, save_probe

FIT = Fit(steps=60, learning_rate=1e-2, width=16)


def lesson(seed, shape=(40, 56)):
    """A bright rectangle on dark ground: the target is the rectangle."""
    draw = np.random.default_rng(seed)
    target = np.zeros((1, *shape), np.float32)
    top, left = draw.integers(0, 16, 2)
    target[0, top : top + 18, left : left + 26] = 1
    image = np.repeat(0.8 * target, 3, axis=0) + 0.1 * draw.random((3, *shape), dtype=np.float32)
    return Lesson(image, target, np.ones(shape, bool))


def overlap(probe, model, example):
    with torch.inference_mode():
        found = probe.ask(encode(model, example.image)).numpy()[0] > 0.5
    wanted = example.target[0] > 0.5
    return 2 * (found & wanted).sum() / (found.sum() + wanted.sum())


@pytest.fixture(scope="module")
def probe(sam):
    lessons = [lesson(seed) for seed in range(4)] + [lesson(4, (56, 40))]
    return fit_probe(sam, lessons, outputs=("cell",), base_sha256="abc", fit=FIT)


def test_a_probe_learns_what_it_was_shown(sam, probe):
    assert probe.labels_seen == 5
    assert overlap(probe, sam, lesson(99)) > 0.7


def test_the_encoder_stays_as_it_was(sam, probe):
    assert not any(parameter.requires_grad for parameter in sam.parameters())
    assert all(parameter.grad is None for parameter in sam.parameters())


def test_equal_seeds_give_equal_probes(sam):
    one, other = (fit_probe(sam, [lesson(0)], outputs=("cell",), base_sha256="abc", fit=Fit(steps=3)) for _ in range(2))
    pairs = zip(one.head.parameters(), other.head.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_pixels_that_do_not_count_teach_nothing(sam):
    plain = lesson(0)
    half = plain.counts.copy()
    half[:, 28:] = False
    spoiled = plain.target.copy()
    spoiled[:, :, 28:] = 1 - spoiled[:, :, 28:]
    one, other = (
        fit_probe(sam, [Lesson(plain.image, target, half)], outputs=("cell",), base_sha256="", fit=Fit(steps=4))
        for target in (plain.target, spoiled)
    )
    assert all(torch.equal(a, b) for a, b in zip(one.head.parameters(), other.head.parameters(), strict=True))


def test_saved_and_loaded_it_says_the_same(sam, probe, tmp_path, picture):
    save_probe(tmp_path / "probe.safetensors", probe)
    again = load_probe(tmp_path / "probe.safetensors", sam, base_sha256="abc")
    encoded = encode(sam, picture)
    assert torch.equal(again.ask(encoded), probe.ask(encoded))
    assert (again.outputs, again.labels_seen) == (("cell",), 5)


def test_a_probe_of_another_encoder_is_refused_with_both_hashes(sam, probe, tmp_path):
    save_probe(tmp_path / "probe.safetensors", probe)
    with pytest.raises(DataError, match=r"abc.*0123456789ab"):
        load_probe(tmp_path / "probe.safetensors", sam, base_sha256="0123456789abcdef")


def test_what_is_no_probe_is_refused(sam, sam_folder, tmp_path):
    with pytest.raises(DataError, match=r"no probe"):
        load_probe(sam_folder / "model.safetensors", sam, base_sha256="abc")
    (tmp_path / "cut.safetensors").write_bytes(b"\x01")
    with pytest.raises(DataError, match=r"cannot be read"):
        load_probe(tmp_path / "cut.safetensors", sam, base_sha256="abc")


def test_no_lesson_is_refused(sam):
    with pytest.raises(ConfigError, match=r"none"):
        fit_probe(sam, [], outputs=("cell",), base_sha256="", fit=FIT)
