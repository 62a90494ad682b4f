"""The terms by name, and what is refused about them."""

import pytest
import torch
from torch.testing import assert_close

from segdistill.errors import ConfigError, UnknownName
from segdistill.objectives import (
    DISTILLATION,
    binary_kl,
    check_anchored,
    check_exclusive,
    distillation_term,
    pixel_kl,
)
from segdistill.objectives.distillation import SUREST, log_of, logits_of

NAMES = {
    *("probability_mse", "binary_kl", "soft_dice", "channel_kl", "pixel_kl", "standardised_kl", "dist_intra"),
    "prototype_matching",
}
UNANCHORED = {"channel_kl", "standardised_kl", "dist_intra"}


def random_inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    scores, teacher = torch.randn(2, 2, 3, 6, 8, generator=generator, dtype=torch.float64)
    return scores, teacher.sigmoid(), torch.ones_like(scores)


def test_the_names():
    assert set(DISTILLATION) == NAMES


def test_probabilities_become_the_logits_they_came_from():
    logits = torch.linspace(-9, 9, 37, dtype=torch.float64)
    assert_close(logits_of(logits.sigmoid()), logits)
    classes = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)
    assert_close(log_of(classes).softmax(dim=0), classes)


def test_stored_probabilities_of_zero_and_one_have_a_finite_logit():
    stored = torch.tensor([0.0, 1.0], dtype=torch.float16)
    assert logits_of(stored).isfinite().all()
    assert_close(logits_of(stored).sigmoid(), torch.tensor([SUREST, 1 - SUREST]))


def test_by_name_is_the_function_on_the_teachers_logits():
    scores, target, counts = random_inputs()
    assert_close(distillation_term("binary_kl")(scores, target, counts), binary_kl(scores, torch.logit(target)))
    classes = target / target.sum(dim=1, keepdim=True)
    assert_close(distillation_term("pixel_kl")(scores, classes, counts), pixel_kl(scores, classes.log()))


def test_a_temperature_reaches_the_term():
    scores, target, counts = random_inputs()
    expected = binary_kl(scores, torch.logit(target), temperature=7.0)
    assert_close(distillation_term("binary_kl", temperature=7.0)(scores, target, counts), expected)


def test_a_temperature_is_refused_by_terms_that_have_none():
    with pytest.raises(ConfigError, match="probability_mse has none"):
        distillation_term("probability_mse", temperature=2.0)


def test_an_unknown_term_is_named_with_the_nearest():
    with pytest.raises(UnknownName, match="Did you mean 'channel_kl'"):
        distillation_term("chanel_kl")


@pytest.mark.parametrize("name", sorted(NAMES - UNANCHORED))
def test_anchored_terms_fix_the_level(name):
    # A student that is right up to a shift of its scores pays for the shift: descending leads back.
    scores, _, counts = random_inputs()
    exclusive = DISTILLATION[name].exclusive
    target = scores.softmax(dim=1) if exclusive else scores.sigmoid()
    push = torch.tensor([1.0, 0.0, 0.0]).reshape(1, 3, 1, 1) if exclusive else 1.0
    shift = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    DISTILLATION[name](scores + shift * push, target, counts).mean().backward()
    assert shift.grad > 1e-3


@pytest.mark.parametrize("name", sorted(UNANCHORED))
def test_unanchored_terms_need_labels_or_company(name):
    with pytest.raises(ConfigError, match=name):
        check_anchored([name], labels=False)
    check_anchored([name], labels=True)
    check_anchored([name, "binary_kl"], labels=False)


def test_two_unanchored_terms_are_no_company():
    with pytest.raises(ConfigError, match="channel_kl and dist_intra"):
        check_anchored(["channel_kl", "dist_intra"], labels=False)


def test_the_registry_agrees_on_which_are_anchored():
    assert {name for name, term in DISTILLATION.items() if not term.anchored} == UNANCHORED


def test_nothing_to_learn_from():
    with pytest.raises(ConfigError, match="nothing to learn"):
        check_anchored([], labels=False)
    check_anchored([], labels=True)


def test_exclusive_terms_are_refused_for_independent_outputs():
    with pytest.raises(ConfigError, match="pixel_kl"):
        check_exclusive(["probability_mse", "pixel_kl"], exclusive=False)
    check_exclusive(["pixel_kl", "standardised_kl"], exclusive=True)
    check_exclusive(sorted(NAMES - {"pixel_kl", "standardised_kl"}), exclusive=False)


def test_unknown_names_are_refused_even_with_labels():
    with pytest.raises(UnknownName):
        check_anchored(["mse"], labels=True)
