"""Fitting a SAM: its loss by hand, the engine's laws, what stops it, and that it learns."""

import math
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from segdistill.data.labels import Structure, output_names
from segdistill.engine import Problem
from segdistill.errors import ConfigError, TrainingStopped
from segdistill.settings import Adapting
from segdistill.teachers import TeacherOptions
from segdistill.teachers.sam import SamTeacher
from segdistill.teachers.sam_build import load_sam
from segdistill.teachers.sam_learner import new_learner
from segdistill.training.adapting import AdaptingProblem, SamFit, crop_side, fit_adapter, make_crops, score_on
from segdistill.training.entries import Entry

CPU = torch.device("cpu")
ORGANS = (Structure("left", instances=False), Structure("right", instances=False))
SIZE = 32


def entry(name="a", shape=(40, 56), *, empty=False, seed=0, structures=2):
    """A bright rectangle on dark ground; every structure is the rectangle."""
    draw = np.random.default_rng(seed)
    planes = np.zeros((structures, *shape), np.int32)
    if not empty:
        top, left = draw.integers(0, 16, 2)
        planes[:, top : top + 20, left : left + 30] = 1
    image = np.repeat(0.8 * (planes[:1] > 0) + 0.1 * draw.random((1, *shape)), 3, axis=0).astype(np.float32)
    return Entry(name, image, planes, np.ones(structures, bool), np.ones(shape, bool))


class Undecided(torch.nn.Module):
    """Gives a score of 0 for everything."""

    def forward(self, image):
        return torch.zeros(len(image), 2, *image.shape[2:])


def sam_fit(how="lora", structures=ORGANS, **protocol):
    base = load_sam(
        "sam-tiny-tissue", channels=("r", "g", "b"), weights=None, device="cpu", options=TeacherOptions(size=SIZE)
    )
    outputs = output_names(structures)
    usual = {"steps": 4, "batch_size": 2, "validations": 2}
    learner = new_learner(base.model, how, outputs=len(outputs), rank=2, seed=0)
    contract = SamTeacher(base.model, base.contract, base.ask).contract
    contract = type(contract)(**{**vars(contract), "outputs": outputs})
    return SamFit(learner, how, contract, structures, Adapting(**(usual | protocol)))


def problem(fit, entries, seed=3):
    return AdaptingProblem(fit, make_crops(fit, entries, [], seed=seed))


def loss_of(made, samples, size, step=0):
    """Return loss and gradient of a step that is cut into micro-batches."""
    batches = [made.collate(samples[at : at + size], step, CPU) for at in range(0, len(samples), size)]
    parts = [made.weights(batch) for batch in batches]
    totals = {name: torch.stack([part[name] for part in parts]).sum() for name in parts[0]}
    made.module.zero_grad()
    loss = sum(
        made.combine(made.module, made.terms(made.module, batch, totals), len(batch.image) / len(samples))
        for batch in batches
    )
    loss.backward()
    return loss.detach(), [p.grad for p in made.module.parameters() if p.requires_grad]


def test_it_keeps_the_engines_protocol():
    made = problem(sam_fit(), [entry()])
    assert isinstance(made, Problem)
    assert isinstance(pickle.loads(pickle.dumps(made)), Problem)  # as other processes get it


def test_the_loss_by_hand():
    # One image, two structures. Cross-entropy 0.3 and Dice loss 0.5: 0.2 * 0.3 + 0.8 * 0.5 = 0.46.
    made = problem(sam_fit(), [entry()])
    terms = {"labels.cross_entropy": torch.tensor(0.3), "labels.dice": torch.tensor(0.5)}
    assert made.combine(made.module, terms, 1.0).item() == pytest.approx(0.46)
    assert made.module.scalars() == {"labels.cross_entropy": 0.2, "labels.dice": 0.8}


def test_structures_overlap_so_every_output_is_a_yes_or_no_of_its_own():
    # Scores of 0 everywhere: cross-entropy is ln 2 whatever is there, also where both structures are at once.
    made = problem(sam_fit(), [entry()])
    batch = made.collate(made.batch(0, 0, 1), 0, CPU)
    terms = made.terms(Undecided(), batch, made.weights(batch))
    assert terms["labels.cross_entropy"].item() == pytest.approx(math.log(2))


@pytest.mark.parametrize("how", ["probe", "lora", "full"])
def test_cutting_a_batch_changes_neither_loss_nor_gradient(how):
    made = problem(sam_fit(how, batch_size=3), [entry(seed=0), entry("b", empty=True), entry("c", (30, 33), seed=2)])
    samples = made.batch(0, 0, 1)
    whole, gradients = loss_of(made, samples, 3)
    cut, others = loss_of(made, samples, 1)
    assert_close(cut, whole)
    for one, other in zip(others, gradients, strict=True):
        assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_empty_masks_are_data():
    made = problem(sam_fit(), [entry(empty=True)])
    loss, gradients = loss_of(made, made.batch(0, 0, 1), 1)
    assert torch.isfinite(loss)
    assert all(torch.isfinite(gradient).all() for gradient in gradients)


def test_one_image_fills_a_larger_batch():
    made = problem(sam_fit(batch_size=4), [entry()])
    views = [crop.view for crop in made.batch(0, 0, 1)]
    assert len(views) == 4
    assert len(set(views)) > 1  # seen differently each time


def test_without_any_label_there_is_nothing_to_fit_on():
    with pytest.raises(ConfigError, match="no field to learn from"):
        problem(sam_fit(), [])


def test_crops_are_what_the_teacher_will_see():
    fit = sam_fit()
    assert fit.contract.tile == 160
    small, large = entry(shape=(30, 70)), entry(shape=(90, 400))
    assert crop_side(fit.protocol, fit.contract, [small]) == 70
    assert crop_side(fit.protocol, fit.contract, [large]) == 160  # it is shown such images in tiles
    assert crop_side(fit.protocol, fit.contract, [small, small, large]) == 70
    assert crop_side(Adapting(crop=48), fit.contract, [large]) == 48


def test_the_score_is_of_the_teacher_in_its_tiles():
    fit = sam_fit("probe")
    teacher = SamTeacher(fit.learner.model, fit.contract, lambda encoded, _: torch.ones(2, *encoded.square.original))
    # Everything is said to be there: Dice = 2 * 600 / (600 + 40 * 56) for a rectangle of 20 by 30.
    scores = score_on(teacher, [entry()], ORGANS)
    assert scores["dice.left"] == pytest.approx(1200 / (600 + 2240))
    assert scores["score"] == scores["dice.left"] == scores["dice.right"]
    assert score_on(teacher, [entry(shape=(170, 340))], ORGANS)["score"] < 1
    assert score_on(teacher, [], ORGANS) == {}


@pytest.mark.parametrize("how", ["probe", "lora"])
def test_it_learns_from_few_images(how, tmp_path):
    fit = sam_fit(how, steps=24, batch_size=2, learning_rate=1e-2, intensity=0.0, warmup=0.1, ema=0.5, validations=4)
    training = [entry(str(number), seed=number) for number in range(3)]
    held_out = [entry("v", seed=9)]
    before = score_on(SamTeacher(fit.learner.model, fit.contract, fit.learner.ask), held_out, ORGANS)["score"]
    outcome = fit_adapter(
        tmp_path / "fit", fit, entries=(training, held_out), seed=0, device="cpu", notice=lambda _: None
    )
    assert outcome.best_score is not None
    assert outcome.best_score > max(before + 0.1, 0.7)
    after = score_on(SamTeacher(fit.learner.model, fit.contract, fit.learner.ask), held_out, ORGANS)["score"]
    assert after == pytest.approx(outcome.best_score, abs=1e-6)  # the best weights are the ones that are left


def test_a_loss_that_is_no_number_stops_it_with_the_last_good_weights(tmp_path):
    fit = sam_fit(steps=8)
    bad = entry("spoiled")
    bad.image[0, 3, 4] = np.nan
    before = [value.clone() for value in fit.learner.parameters()]
    with pytest.raises(TrainingStopped, match="spoiled"):
        fit_adapter(tmp_path / "fit", fit, entries=([bad], []), seed=0, device="cpu", notice=lambda _: None)
    assert (tmp_path / "fit" / "newest.ckpt").is_file()
    assert all(torch.equal(one, other) for one, other in zip(fit.learner.parameters(), before, strict=True))


def test_without_validation_images_the_last_weights_are_kept(tmp_path):
    fit = sam_fit(steps=3)
    outcome = fit_adapter(tmp_path / "fit", fit, entries=([entry()], []), seed=0, device="cpu", notice=lambda _: None)
    assert (outcome.best_step, outcome.best_score) == (3, None)


def test_it_is_scored_in_what_is_labelled_in_each_field():
    fit = sam_fit()
    teacher = SamTeacher(fit.learner.model, fit.contract, fit.learner.ask)
    left, right = entry("l"), entry("r", seed=1)
    halves = [replace(left, known=np.array([True, False])), replace(right, known=np.array([False, True]))]
    scores = score_on(teacher, halves, ORGANS)
    alone = [score_on(teacher, [each], ORGANS) for each in (left, right)]
    assert scores["dice.left"] == alone[0]["dice.left"]
    assert scores["dice.right"] == alone[1]["dice.right"]
