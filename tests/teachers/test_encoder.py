"""Encoders that were made here, as teachers of features."""

import numpy as np
import pytest
import torch

from segdistill.data.normalisation import PercentileRule, rule_to_json
from segdistill.errors import ConfigError, DataError
from segdistill.networks.build import build_student
from segdistill.networks.encoder_folder import EncoderCard, save_encoder
from segdistill.networks.tokens import token_encoder
from segdistill.teachers import TeacherOptions, TokenTeacher, load_teacher
from segdistill.teachers.contract import parameters_of
from segdistill.teachers.features_alone import features_alone
from segdistill.teachers.untrained import untrained
from segdistill.testing import check_teacher

GRIDS = {"unet-tiny": (8, 32), "vit-tiny": (16, 192)}
"""Student to stride and width of its encoder's last grid."""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder for each network, and the network itself."""
    root = tmp_path_factory.mktemp("encoders")
    students = {}
    for name in GRIDS:
        torch.manual_seed(1)
        student = build_student(name, channels=2, outputs=3).eval()
        card = EncoderCard(
            architecture=name,
            channels=("nucleus", "membrane"),
            normalisation=rule_to_json(PercentileRule()),
            how="masked autoencoding of 9 images",
            licences=("teacher x: MIT",),
            labels_used=4,
        )
        save_encoder(root / name, student.encoder, card)
        students[name] = student
    return root, students


@pytest.mark.parametrize("name", GRIDS)
def test_it_keeps_the_contract_of_every_teacher(made, name):
    root, students = made
    teacher = load_teacher(f"encoder:{root / name}")
    assert isinstance(teacher, TokenTeacher)
    contract = teacher.contract
    assert contract.tokens == {"embedding": GRIDS[name]}
    assert (contract.outputs, contract.channels, contract.licence) == ((), ("nucleus", "membrane"), "teacher x: MIT")
    assert (contract.labels_seen, contract.size) == (4, None)
    assert parameters_of(teacher) == sum(each.numel() for each in students[name].encoder.parameters())
    check_teacher(teacher)


@pytest.mark.parametrize("name", GRIDS)
def test_its_tokens_are_the_encoders_last_grid_on_the_image_as_it_is(made, name):
    root, students = made
    picture = np.random.default_rng(0).random((2, 48, 64), dtype=np.float32)
    found = load_teacher(f"encoder:{root / name}").tokens(picture, ("embedding",))["embedding"]
    with torch.inference_mode():
        wanted = token_encoder(students[name])(torch.from_numpy(picture)[None])[0].permute(1, 2, 0)
    np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-5, atol=1e-6)
    assert found.std(axis=(0, 1)).max() > 1e-4


def test_untrained_it_is_the_same_network_with_other_weights(made):
    root, _ = made
    teacher = load_teacher(f"encoder:{root / 'vit-tiny'}")
    picture = np.random.default_rng(0).random((2, 32, 32), dtype=np.float32)
    fresh, again, other = (untrained(teacher, seed=seed) for seed in (0, 0, 1))
    own, first, second, third = (
        each.tokens(picture, ("embedding",))["embedding"] for each in (teacher, fresh, again, other)
    )
    assert first.shape == own.shape
    assert not np.allclose(own, first)
    assert not np.allclose(first, third)
    np.testing.assert_array_equal(first, second)
    alone = untrained(features_alone(teacher), seed=0).tokens(picture, ("embedding",))["embedding"]
    np.testing.assert_array_equal(alone, first)


def test_other_names_of_channels_stand_one_for_one(made):
    root, _ = made
    assert load_teacher(f"encoder:{root / 'unet-tiny'}", channels=("DAPI", "actin")).contract.channels == (
        "DAPI",
        "actin",
    )


def test_what_does_not_suit_it_is_refused(made, tmp_path):
    root, _ = made
    name = f"encoder:{root / 'unet-tiny'}"
    for options, words in (
        ({"channels": ("nucleus",)}, "takes 2 channels"),
        ({"channels": ("membrane", "nucleus")}, "in the order nucleus, membrane"),
        ({"prompting": "grid"}, "takes no prompting grid: an encoder is asked as it is"),
        ({"options": TeacherOptions(size=64)}, "takes no size 64"),
    ):
        with pytest.raises(ConfigError, match=words):
            load_teacher(name, **options)
    with pytest.raises(ConfigError, match="there is no folder"):
        load_teacher(f"encoder:{tmp_path / 'none'}")
    with pytest.raises(DataError, match=r"holds no whole encoder: it has no encoder\.json"):
        load_teacher(f"encoder:{tmp_path}")
