"""Teachers that are asked for features alone, and the same networks untrained."""

import numpy as np
import pytest

from segdistill.errors import ConfigError, UnknownName
from segdistill.teachers import load_teacher
from segdistill.teachers.features_alone import chosen_grids, features_alone
from segdistill.teachers.untrained import untrained
from segdistill.testing import check_teacher

PICTURE = np.random.default_rng(0).random((3, 40, 56), dtype=np.float32)


@pytest.fixture(scope="module")
def sam():
    return load_teacher("sam-tiny-tissue", channels=("a", "b", "c"))


def test_a_sam_gives_its_tokens_and_no_map_and_needs_nothing_else(sam):
    alone = features_alone(sam)
    contract = alone.contract
    assert (contract.outputs, contract.prompting, contract.needs, contract.tile) == ((), None, (), None)
    assert contract.tokens == sam.contract.tokens
    assert alone.maps(PICTURE).shape == (0, 40, 56)
    one, other = (each.tokens(PICTURE, ("embedding",))["embedding"] for each in (alone, sam))
    np.testing.assert_array_equal(one, other)
    check_teacher(alone)


def test_its_size_is_that_of_the_encoder(sam):
    decoder = sum(p.numel() for name, p in sam.model.named_parameters() if not name.startswith("vision_encoder"))
    assert features_alone(sam).parameters == sam.parameters - decoder
    assert 0 < decoder < sam.parameters


def test_a_teacher_without_tokens_is_refused_with_its_contract(sam):
    with pytest.raises(ConfigError, match=r"'blurred:2' gives no tokens. Its contract: channels none; maps cell, cell"):
        features_alone(load_teacher("blurred:2"))


def test_grids_are_chosen_by_name(sam):
    assert chosen_grids(sam.contract, ()) == ("embedding",)
    assert chosen_grids(sam.contract, ("hidden.1", "embedding", "hidden.1")) == ("hidden.1", "embedding")
    with pytest.raises(UnknownName, match=r"no token grid of sam-tiny-tissue called 'hidden.77'"):
        chosen_grids(sam.contract, ("hidden.77",))


def test_the_same_network_untrained_says_something_else_and_the_same_again(sam):
    alone = features_alone(sam)
    first, second, other = (untrained(alone, seed=seed) for seed in (1, 1, 2))
    tokens = [each.tokens(PICTURE, ("embedding",))["embedding"] for each in (alone, first, second, other)]
    assert len({each.shape for each in tokens}) == 1
    np.testing.assert_array_equal(tokens[1], tokens[2])
    assert np.abs(tokens[0] - tokens[1]).max() > 0.01
    assert np.abs(tokens[3] - tokens[1]).max() > 0.01
    with pytest.raises(ConfigError, match="cannot be compared with itself untrained"):
        untrained(load_teacher("blurred:2"), seed=0)
