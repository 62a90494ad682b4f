"""The lessons of pre-training: the same however a step is split, drawn from the step alone, in the stored views."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from segdistill.augment import Jitter
from segdistill.data.normalisation import PercentileRule
from segdistill.errors import ConfigError
from segdistill.networks import build_student, resample_grid, token_encoder
from segdistill.networks.masked import MaskedAutoencoder
from segdistill.networks.matched import MatchedEncoder, MatchedStudent
from segdistill.networks.momentum import WithFollower
from segdistill.networks.vit import HEADS, VitEncoder
from segdistill.settings import TaskSpecific
from segdistill.targets import Key, View, create_store, new_header
from segdistill.targets.quantise import store_maps, store_tokens
from segdistill.targets.view import view_of
from segdistill.teachers.contract import Contract
from segdistill.training.entries import Entry
from segdistill.training.pretraining import PretrainingProblem, Sights
from segdistill.training.pretraining_contrast import ContrastLesson
from segdistill.training.pretraining_features import FeaturesLesson
from segdistill.training.pretraining_masked import MaskedLesson
from segdistill.training.pretraining_task import TaskLesson
from segdistill.training.pretraining_told import CELL, Views
from segdistill.training.square import fitted, resampled

CPU = torch.device("cpu")
SIGHTS = Sights(
    seed=0, batch_size=4, crop=48, scale=(0.8, 1.2), flips=True, turns=True, jitter=Jitter(noise=(0.0, 0.02))
)
LAYERS = ("hidden.1", "hidden.2")


def entry(number, shape):
    image = np.random.default_rng(number).random((1, *shape), dtype=np.float32)
    return Entry(f"f{number}", image, np.zeros((0, *shape), np.int32), np.zeros(0, bool), np.ones(shape, bool))


@pytest.fixture
def entries():
    return [entry(number, (60 + 10 * number, 90)) for number in range(5)]


@pytest.fixture
def views(entries, tmp_path):
    """Two views of each image: the whole, and its left half turned; maps show the image itself."""
    contract = Contract(
        name="t",
        channels=("grey",),
        rule=PercentileRule(),
        outputs=("cell",),
        weights_sha256="0",
        licence="MIT",
        tokens=dict.fromkeys(LAYERS, (16, 6)),
    )
    half = View(window=(0.0, 0.0, 1.0, 0.5), turns=1)
    store = create_store(tmp_path / "store", new_header(contract, tokens=LAYERS, views=(View(), half)))
    draw = np.random.default_rng(9)
    with store.writing() as writer:
        for each in entries:
            for number in range(2):
                arrays = {"maps": store_maps(each.image, "float16")} if number == 0 else {}
                for name in LAYERS:
                    grid = draw.standard_normal((4, 7, 6)).astype(np.float32)
                    arrays |= {f"{name}/{part}": a for part, a in store_tokens(grid, "float16").items()}
                writer.put(Key(each.name, number), arrays, {"case": each.name})
    return Views(store, entries, {each.name: each.name for each in entries}, LAYERS, maps=True)


def lesson_of(way, entries, views):
    torch.manual_seed(0)
    if way == "masked":
        return MaskedLesson(MaskedAutoencoder(VitEncoder(1, HEADS), 1, 0.75), entries, SIGHTS)
    if way == "contrast":
        return ContrastLesson(
            WithFollower(VitEncoder(1, HEADS), steps=9, momentum=0.9), entries, SIGHTS, temperature=0.2
        )
    student = build_student("vit-tiny", channels=1, outputs=1)
    if way == "features":
        return FeaturesLesson(
            MatchedEncoder(token_encoder(student), 6), replace(views, names=LAYERS[:1], maps=False), SIGHTS
        )
    terms = TaskSpecific(hidden_weight=0.5, prediction_weight=2.0)
    return TaskLesson(MatchedStudent(student, [6, 6]), views, SIGHTS, terms)


@pytest.mark.parametrize("way", ["masked", "contrast", "features", "task"])
def test_other_processes_get_it_pickled(way, entries, views):
    problem = PretrainingProblem(lesson_of(way, entries, views), weight_decay=0.1)
    sent = pickle.loads(pickle.dumps(problem))
    losses = [loss_of(each, each.batch(3, 0, 1), 3, size=4) for each in (problem, sent)]
    assert_close(losses[1], losses[0], rtol=0, atol=0)


def loss_of(problem, samples, step, *, size):
    """The loss of one step, cut into micro-batches of a size."""
    batches = [problem.collate(samples[start : start + size], step, CPU) for start in range(0, len(samples), size)]
    weights = [problem.weights(batch) for batch in batches]
    totals = {name: sum(each[name] for each in weights) for name in weights[0]}
    terms = [problem.terms(problem.module, batch, totals) for batch in batches]
    return sum(problem.combine(problem.module, each, 0.0) for each in terms)


@pytest.mark.parametrize("way", ["masked", "contrast", "features", "task"])
def test_neither_micro_batches_nor_processes_change_a_step(way, entries, views):
    problem = PretrainingProblem(lesson_of(way, entries, views), weight_decay=0.1)
    whole = problem.batch(3, 0, 1)
    assert len(whole) == 4
    loss = loss_of(problem, whole, 3, size=4)
    assert torch.isfinite(loss)
    assert_close(loss_of(problem, whole, 3, size=3), loss, rtol=1e-4, atol=1e-5)
    shared = [*problem.batch(3, 1, 2), *problem.batch(3, 0, 2)]
    assert sorted(problem.names(shared)) == sorted(problem.names(whole))
    assert_close(loss_of(problem, shared, 3, size=2), loss, rtol=1e-4, atol=1e-5)
    other = loss_of(problem, problem.batch(4, 0, 1), 4, size=4)
    assert not torch.isclose(other, loss)


@pytest.mark.parametrize("way", ["masked", "contrast", "features", "task"])
def test_every_weight_that_learns_gets_a_gradient_in_one_of_the_groups(way, entries, views):
    problem = PretrainingProblem(lesson_of(way, entries, views), weight_decay=0.1)
    loss_of(problem, problem.batch(0, 0, 1), 0, size=4).backward()
    grouped = {id(p) for group in problem.parameter_groups() for p in group["params"]}
    learning = {name: p for name, p in problem.module.named_parameters() if p.requires_grad}
    assert {id(p) for p in learning.values()} == grouped
    assert [name for name, p in learning.items() if p.grad is None] == []
    assert problem.validate(problem.module, 0) == {}


def test_three_of_four_patches_are_hidden_and_only_they_count(entries, views):
    lesson = lesson_of("masked", entries, views)
    batch = lesson.collate(lesson.samples(0, range(4)), 0, CPU)
    assert batch.hidden.shape == (4, 9)
    assert batch.hidden.sum(1).tolist() == [7.0] * 4  # of 9 patches round(9 / 4) are shown
    shown = [set(order[:2]) for order in batch.order.tolist()]
    assert [set(np.flatnonzero(row == 0)) for row in batch.hidden.numpy()] == shown
    assert len({tuple(sorted(each)) for each in shown}) > 1


def test_a_contrast_step_shows_every_image_twice_and_differently(entries, views):
    lesson = lesson_of("contrast", entries, views)
    batch = lesson.collate(lesson.samples(2, range(1, 4, 2)), 2, CPU)
    assert batch.own.tolist() == [1, 3]
    assert [tuple(look.shape) for look in batch.images] == [(4, 1, 48, 48)] * 2
    assert (batch.images[0] - batch.images[1]).abs().amax(dim=(1, 2, 3)).min() > 0.1


@pytest.mark.parametrize(("count", "size"), [(1, 4), (3, 4), (5, 1)])
def test_too_few_images_to_tell_apart_are_refused(count, size, entries):
    module = WithFollower(VitEncoder(1, HEADS), steps=9, momentum=0.9)
    with pytest.raises(ConfigError, match=f"there are {count} images and steps of {size}"):
        ContrastLesson(module, entries[:count], replace(SIGHTS, batch_size=size), temperature=0.2)


def test_one_image_is_enough_to_hide_patches_of(entries, views):
    problem = PretrainingProblem(lesson_of("masked", entries[:1], views), weight_decay=0.0)
    assert problem.names(problem.batch(0, 0, 1)) == ["f0"] * 4


def test_the_student_sees_the_stored_view_and_the_map_turns_with_it(entries, views):
    # 5 images × 2 views are met once each in 10 slots, whatever their order.
    told = [each for step in range(2) for each in views.draw(replace(SIGHTS, batch_size=5), step, range(5))]
    assert len({each.image.tobytes() for each in told}) == 10
    for each in told:
        height, width = each.shape
        inside = (slice(None), slice(height), slice(width))
        np.testing.assert_allclose(each.maps[inside], each.image[inside], atol=2e-3)
        assert not each.maps[:, height:].any()
        assert not each.maps[:, :, width:].any()
        np.testing.assert_array_equal(
            each.image[0, :, width:], each.image[0, :, width - 1 : width].repeat(48 - width, 1)
        )


def view_shown(told, views):
    """Which view it is, by its pixels."""
    inside = told.image[:, : told.shape[0], : told.shape[1]]
    for number, view in enumerate(views.store.header.views):
        seen = view_of(told.entry.image, view)
        if told.shape == fitted(seen.shape[1:], side=48, stride=CELL) and np.array_equal(
            resampled(seen, told.shape), inside
        ):
            return number
    raise AssertionError("what is shown is none of the stored views")


def test_tokens_are_those_of_the_view_on_the_student_s_grid(entries, views):
    for each in views.draw(SIGHTS, 0, range(4)):
        number = view_shown(each, views)
        stored = torch.from_numpy(views.store.tokens(Key(each.entry.name, number), "hidden.2")).permute(2, 0, 1)[None]
        rows, columns = each.shape[0] // 16, each.shape[1] // 16
        wanted = resample_grid(stored, (rows, columns))[0].numpy()
        np.testing.assert_allclose(each.tokens["hidden.2"][:, :rows, :columns], wanted, atol=1e-5)
        assert not each.tokens["hidden.2"][:, rows:].any()


def test_what_lies_beyond_an_image_does_not_count(entries, views):
    lesson = lesson_of("task", entries, views)
    samples = lesson.samples(0, range(4))
    batch = lesson.collate(samples, 0, CPU)
    weights = lesson.weights(batch)
    assert weights["hidden.1"].sum(dim=(1, 2)).tolist() == [each.shape[0] * each.shape[1] / 256 for each in samples]
    assert weights["predictions.kl"].sum(dim=(1, 2, 3)).tolist() == [each.shape[0] * each.shape[1] for each in samples]
    assert dict(lesson.scales) == {"hidden.1": 0.25, "hidden.2": 0.25, "predictions.kl": 2.0, "predictions.dice": 2.0}


@pytest.mark.parametrize("way", ["features", "task"])
def test_regions_that_are_ignored_teach_nothing_in_any_view(way, entries, views):
    # The left half is ignored: the view of it counts nowhere, the whole image in its right half.
    for each in entries:
        each.counts[:, :45] = False
    lesson = lesson_of(way, entries, views)
    samples = [each for step in range(2) for each in lesson.views.draw(replace(SIGHTS, batch_size=5), step, range(5))]
    batch = lesson.collate(samples, 0, CPU)
    for place, told in enumerate(samples):
        half = view_shown(told, views) == 1
        for name, weights in lesson.weights(batch).items():
            counted = weights[place]
            if half or name == "predictions.dice":
                assert float(counted.sum()) == (0 if half else 1)
                continue
            edge = weights.shape[-1] // 2
            assert not counted[..., : told.shape[0], : edge - 1].any()
            assert counted[..., : told.shape[0] * weights.shape[-1] // 48, edge + 1 :].all()
    assert torch.isfinite(loss_of(PretrainingProblem(lesson, weight_decay=0.1), samples, 0, size=4))


def test_a_teacher_that_said_nothing_teaches_nothing(entries, views):
    with pytest.raises(ConfigError, match="said nothing of any image"):
        replace(views, entries=[]).draw(SIGHTS, 0, range(2))
