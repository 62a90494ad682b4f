"""A teacher's stored tokens: standardised, resampled, and refused where they cannot be."""

from dataclasses import replace

import numpy as np
import pytest

from segdistill.errors import ConfigError, DataError
from segdistill.objectives import moments_of
from segdistill.targets import Key, TargetStore, drawn_views, image_key, resample_tokens
from segdistill.training.stored_teacher import check_together


def test_tokens_are_resampled_and_standardised_in_either_order(stored, fields):
    teacher = stored(width=6)
    key = Key(image_key(fields["field1"].image))
    own = teacher.store.tokens(key, "cells")
    assert own.shape == (10, 14, 6)  # 40 x 56 pixels in squares of 4
    wanted = resample_tokens(teacher.standard(own), (3, 4))
    np.testing.assert_allclose(np.moveaxis(teacher.tokens(key, (3, 4)), 0, -1), wanted, atol=1e-4)
    np.testing.assert_allclose(teacher.own_tokens(key, (10, 14)), own, atol=1e-6)


def test_after_phi_s_all_channels_vary_alike(stored, fields):
    teacher = stored(width=6, gain=50.0)
    keys = [Key(image_key(each.image)) for each in fields.values()]
    tokens = np.concatenate([np.moveaxis(teacher.tokens(key, (10, 14)), 0, -1).reshape(-1, 6) for key in keys])
    np.testing.assert_allclose(np.diag(moments_of(tokens).covariance), 1, atol=1e-2)


def test_a_store_whose_tokens_are_not_those_of_its_contract_is_refused(stored, fields):
    teacher = stored(width=6)
    (contract,) = teacher.store.header.contracts
    header = replace(teacher.store.header, contracts=(replace(contract, tokens={"cells": (4, 7)}),))
    other = replace(teacher, store=TargetStore(teacher.store.folder, header))
    with pytest.raises(DataError, match=r"shape \(10, 14, 6\) .* contract of 'a' its cells is one token of 7 numbers"):
        other.tokens(Key(image_key(fields["field1"].image)), (3, 4))


def test_teachers_of_other_views_cannot_teach_together(stored):
    one, two, other = stored("a"), stored("b", views=drawn_views(2)), stored("c", views=drawn_views(2, seed=9))
    check_together([one, stored("d")])
    with pytest.raises(ConfigError, match="a was shown 1 views of each image, and b 2: the student sees one view"):
        check_together([one, two])
    with pytest.raises(ConfigError, match="b was shown 2 views of each image, and c 2 others"):
        check_together([two, other])


def test_labels_are_needed_and_are_different(stored):
    with pytest.raises(ConfigError, match="no teacher"):
        check_together([])
    with pytest.raises(ConfigError, match="labels of their own, without dots, but they are a, a"):
        check_together([stored("a"), stored("a")])
