from dataclasses import replace

import pytest

from segdistill.errors import ConfigError
from segdistill.targets import create_store, fill_targets, image_key, new_header, verify_targets
from segdistill.targets.shard import slice_folder


@pytest.fixture
def filled(store, filling):
    fill_targets(store, filling)
    return store


def test_a_sound_store_is_sound(filled, filling):
    found = verify_targets(filled, filling)
    assert found.sound
    assert (found.records, found.recomputed, found.damaged, found.largest) == (7, 1, (), 0.0)


@pytest.mark.parametrize(("share", "count"), [(0.0, 1), (0.01, 1), (0.5, 4), (1.0, 7)])
def test_the_share_is_recomputed_and_at_least_one(filled, filling, share, count):
    assert verify_targets(filled, filling, share=share).recomputed == count


def test_damage_is_found_in_every_record(filled, filling, samples):
    data = slice_folder(filled.folder, (0, 1)) / "0000.bin"
    content = bytearray(data.read_bytes())
    content[-1] ^= 1
    data.write_bytes(content)
    found = verify_targets(filled, filling)
    assert not found.sound
    assert [key.image for key in found.damaged] == [image_key(samples["field6"].image)]


def test_a_teacher_that_says_something_else_is_found(filled, filling, teacher, monkeypatch):
    plain = type(teacher).maps
    monkeypatch.setattr(type(teacher), "maps", lambda self, image, hint: plain(self, image, hint) * 0.9)
    found = verify_targets(filled, filling, share=1.0)
    assert len(found.differing) == 7
    assert 0.05 < found.largest < 0.1
    assert not found.sound


def test_another_picture_under_an_old_name_is_found(filled, filling, samples, make_sample):
    samples["field0"] = make_sample("field0", 99)
    found = verify_targets(filled, filling, share=1.0)
    assert found.differing == (("field0", 1.0),)


def test_8_bit_maps_verify(tmp_path, teacher, filling):
    store = create_store(tmp_path / "s", new_header(teacher.contract, maps_as="uint8"))
    assert 1 / 4096 < fill_targets(store, filling).error <= 1 / 510 + 1e-6
    assert verify_targets(store, filling, share=1.0).sound


def test_an_empty_store_has_nothing_to_recompute(store, filling):
    assert verify_targets(store, filling).recomputed == 0


def test_other_teachers_are_refused(filled, filling, make_teacher):
    with pytest.raises(ConfigError, match=r"Open a store"):
        verify_targets(filled, replace(filling, teachers=[make_teacher(weights_sha256="1")]))
