import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from segdistill.augment import label_maps
from segdistill.data.labels import Structure
from segdistill.engine import weighted_mean
from segdistill.objectives import (
    BOUNDARY,
    DISTILLATION,
    LearnedWeighting,
    boundary_gradient,
    build_weighting,
    prototype_matching,
    signed_distances,
    teacher_classes,
)
from segdistill.training.objective import Batch, Objective, grouped, taught_outputs

CELL = (Structure("cell", True),)


def make_batch(size=4, *, seed=0, known=None, taught=None, stains=0, classes=0):
    draw = torch.Generator().manual_seed(seed)
    return Batch(
        image=torch.rand(size, 1, 6, 9, generator=draw),
        label=(torch.rand(size, 2, 6, 9, generator=draw) > 0.5).float(),
        known=torch.ones(size, 2) if known is None else known,
        target=torch.rand(size, 2, 6, 9, generator=draw),
        taught=torch.ones(size) if taught is None else taught,
        counts=(torch.rand(size, 6, 9, generator=draw) > 0.2).float(),
        stains=torch.rand(size, stains, 6, 9, generator=draw),
        similarity=2 * torch.rand(size, classes, 6, 9, generator=draw) - 1,
    )


def part(batch, rows):
    return Batch(**{name: value[rows] for name, value in vars(batch).items()})


def objective(**changes):
    usual = {
        "structures": CELL,
        "taught": (0, 1),
        "labels": True,
        "distillation": DISTILLATION["probability_mse"],
        "boundary": BOUNDARY["gradient_3"],
    }
    return Objective(**(usual | changes))


def reduced(aim, scores, batch):
    values, weights = aim.values(scores, batch), aim.weights(batch)
    return {name: weighted_mean(values[name], weights[name]) for name in values}


def test_parts_and_weights_have_one_shape():
    batch, aim = make_batch(), objective()
    values, weights = aim.values(torch.randn(4, 2, 6, 9), batch), aim.weights(batch)
    assert values.keys() == weights.keys() == {"labels.cross_entropy", "labels.dice", "distillation", "boundary"}
    assert all(values[name].shape == weights[name].shape for name in values)


def test_switching_distillation_off_leaves_the_other_terms_as_they_are():
    batch, scores = make_batch(), torch.randn(4, 2, 6, 9)
    with_teacher, without = reduced(objective(), scores, batch), reduced(objective(distillation=None), scores, batch)
    assert without == {name: value for name, value in with_teacher.items() if name != "distillation"}


@given(cut=st.integers(0, 4), seed=st.integers(0, 20))
def test_parts_of_a_batch_add_up_to_the_whole(cut, seed):
    known = torch.rand(4, 1, generator=torch.Generator().manual_seed(seed)).round().expand(4, 2)
    taught = torch.rand(4, generator=torch.Generator().manual_seed(seed + 1)).round()
    batch, aim = make_batch(seed=seed, known=known, taught=taught), objective()
    scores = torch.randn(4, 2, 6, 9, generator=torch.Generator().manual_seed(seed)).double()
    totals = {name: weight.sum() for name, weight in aim.weights(batch).items()}
    weighting = LearnedWeighting(aim.terms)

    def loss(rows):
        piece = part(batch, rows)
        values, weights = aim.values(scores[rows], piece), aim.weights(piece)
        terms = {name: weighted_mean(values[name], weights[name], total=totals[name]) for name in values}
        return weighting(grouped(terms), (rows.stop - rows.start) / 4)

    pieces = [slice(0, cut), slice(cut, 4)]
    added = sum(loss(rows) for rows in pieces if rows.stop > rows.start)
    torch.testing.assert_close(added, loss(slice(0, 4)))


def test_an_unlabelled_image_has_no_label_term_and_its_boundary_follows_the_teacher():
    unlabelled = make_batch(1, known=torch.zeros(1, 2))
    aim = objective()
    weights = aim.weights(unlabelled)
    assert weights["labels.cross_entropy"].sum() == 0
    assert weights["labels.dice"].sum() == 0
    assert weights["boundary"].sum() > 0
    scores = torch.randn(1, 2, 6, 9)
    as_label = Batch(**(vars(unlabelled) | {"label": unlabelled.target, "known": torch.ones(1, 2)}))
    torch.testing.assert_close(aim.values(scores, unlabelled)["boundary"], aim.values(scores, as_label)["boundary"])


def test_an_image_without_a_target_has_no_distillation_term():
    batch = make_batch(2, taught=torch.tensor([1.0, 0.0]))
    weight = objective().weights(batch)["distillation"]
    assert weight[0].sum() == 2 * batch.counts[0].sum()
    assert weight[1].sum() == 0


def test_pixels_that_do_not_count_change_nothing():
    batch, scores = make_batch(), torch.randn(4, 2, 6, 9)
    ignored = batch.counts == 0
    noise = torch.where(ignored[:, None], 7 * torch.randn(4, 2, 6, 9), torch.zeros(()))
    before, after = reduced(objective(), scores, batch), reduced(objective(), scores + noise, batch)
    for name, value in before.items():
        torch.testing.assert_close(after[name], value, msg=name)


def test_an_object_that_touches_an_ignored_region_has_no_boundary_there():
    # One cell of 5 × 5; its last column, and all beyond it, is ignored and was labelled by nobody.
    planes = torch.zeros(1, 1, 7, 9, dtype=torch.int32)
    planes[0, 0, 1:6, 1:6] = 1
    counts = torch.ones(1, 7, 9)
    counts[..., 5:] = 0
    cut = planes * (counts > 0)
    batch = make_batch(1)
    sized = {name: torch.zeros(1, value.shape[1], 7, 9) for name, value in vars(batch).items() if value.ndim == 4}
    batch = Batch(**(vars(batch) | sized | {"label": label_maps(cut, [True]), "counts": counts}))
    weights = objective(distillation=None, boundary=None).weights(batch)["labels.cross_entropy"][0]
    assert batch.label[0, 1, 3, 4] == 1  # by what is labelled the cell ends beside the ignored region
    assert weights[1, :, 4:].sum() == 0
    assert weights[1, :, :4].min() == 1
    assert weights[0].tolist() == counts[0].tolist()  # that the cell is there is known


def test_a_teacher_that_gives_one_output_teaches_that_one():
    aim = objective(taught=(0,))
    batch = make_batch()
    batch = Batch(**(vars(batch) | {"target": batch.target[:, :1]}))
    scores = torch.randn(4, 2, 6, 9, requires_grad=True)
    reduced(aim, scores, batch)["distillation"].backward()
    assert scores.grad is not None
    assert scores.grad[:, 0].abs().sum() > 0
    assert scores.grad[:, 1].abs().sum() == 0


def test_taught_outputs_are_in_the_students_order():
    assert taught_outputs(CELL, ("cell.boundary", "cell", "nucleus")) == (0, 1)
    assert taught_outputs(CELL, ("nucleus",)) == ()


@pytest.mark.parametrize(
    ("changes", "terms"),
    [
        ({}, ("labels", "distillation", "boundary")),
        ({"labels": False}, ("distillation", "boundary")),
        ({"distillation": None, "boundary": None}, ("labels",)),
        ({"boundary": BOUNDARY["surface_distance"]}, ("labels", "distillation", "surface_distance")),
    ],
)
def test_terms_that_are_off_are_not_there(changes, terms):
    aim = objective(**changes)
    assert aim.terms == terms
    assert set(grouped(reduced(aim, torch.randn(4, 2, 6, 9), make_batch()))) == set(terms)


def test_predicted_channels_are_the_last_scores_and_touch_no_other_term():
    batch, plain = make_batch(2, stains=1), make_batch(2)
    scores = torch.randn(2, 3, 6, 9)
    with_stain, without = objective(stains=1), objective()
    assert with_stain.terms == (*without.terms, "stains")
    values, others = with_stain.values(scores, batch), without.values(scores[:, :2], plain)
    torch.testing.assert_close(values["stains"], (scores[:, 2:].sigmoid() - batch.stains) ** 2)
    for name, value in others.items():
        torch.testing.assert_close(values[name], value)
    torch.testing.assert_close(with_stain.weights(batch)["stains"], batch.counts[:, None])


def test_features_are_compared_beside_the_outputs_in_one_term():
    # Behind two scores and a stain come five features; classes are the two outputs and the rest.
    matching, plain = DISTILLATION["prototype_matching"], DISTILLATION["binary_kl"]
    aim, batch = objective(distillation=matching, stains=1), make_batch(stains=1, classes=3)
    scores = torch.randn(4, 8, 6, 9)
    values, weights = aim.values(scores, batch), aim.weights(batch)
    assert (aim.classes, objective().classes) == (3, 0)
    assert values["distillation.prototypes"].shape == weights["distillation.prototypes"].shape == (4, 3, 6, 9)
    classes = teacher_classes(batch.target)
    expected = prototype_matching(scores[:, 3:], batch.similarity, classes, batch.counts)
    torch.testing.assert_close(values["distillation.prototypes"], expected)
    without = objective(distillation=plain, stains=1).values(scores[:, :3], batch)
    for name, value in without.items():
        torch.testing.assert_close(values[name], value)
    assert set(grouped(reduced(aim, scores, batch))) == {"labels", "distillation", "boundary", "stains"}


def test_an_image_of_which_the_teacher_said_nothing_has_no_prototypes():
    aim = objective(distillation=DISTILLATION["prototype_matching"])
    batch = make_batch(2, taught=torch.tensor([1.0, 0.0]), classes=3)
    weight = aim.weights(batch)["distillation.prototypes"]
    assert weight[0].sum() == 3 * batch.counts[0].sum()
    assert weight[1].sum() == 0


def test_soft_borders_of_five_pixels_are_those_of_the_objective_and_not_of_three():
    batch, scores = make_batch(), torch.randn(4, 2, 6, 9)
    five, three = (objective(boundary=BOUNDARY[name]) for name in ("gradient_5", "gradient_3"))
    found = five.values(scores, batch)["boundary"]
    expected = boundary_gradient(scores[:, :1], batch.label[:, :1], batch.counts[:, None], size=5)
    torch.testing.assert_close(found, expected)
    assert (found != three.values(scores, batch)["boundary"]).any()
    assert found.shape == five.weights(batch)["boundary"].shape


def test_the_surface_distance_is_probability_times_distance_where_pixels_count():
    # One image of 1 x 4 pixels, the first ignored, the last two inside; every probability is one half. As the first
    # is neither inside nor outside, the distances are 0, 1/2, -1/2, -3/2: the mean over three is (1/2)(-3/2) / 3.
    batch = make_batch(1)
    row = {name: getattr(batch, name)[..., :1, :4] for name in ("image", "target", "stains", "similarity")} | {
        "label": torch.tensor([[[[1.0, 0, 1, 1]], [[0, 0, 0, 0]]]]),
        "counts": torch.tensor([[[0.0, 1, 1, 1]]]),
    }
    aim = objective(boundary=BOUNDARY["surface_distance"])
    found = reduced(aim, torch.zeros(1, 2, 1, 4), Batch(**(vars(batch) | row)))["surface_distance"]
    torch.testing.assert_close(found, torch.tensor(-0.25))


def test_without_labels_distances_are_to_where_the_teacher_passes_one_half_and_without_either_nothing_counts():
    batch = make_batch(2, known=torch.zeros(2, 2), taught=torch.tensor([1.0, 0.0]))
    aim = objective(boundary=BOUNDARY["surface_distance"])
    value = aim.values(torch.zeros(2, 2, 6, 9), batch)["surface_distance"]
    weight = aim.weights(batch)["surface_distance"]
    distance = signed_distances(batch.target[:1, :1] > 0.5, batch.counts[:1, None] > 0)
    torch.testing.assert_close(value[:1], 0.5 * distance)
    torch.testing.assert_close(weight[:1], batch.counts[:1, None])
    assert weight[1].sum() == 0
    assert value.isfinite().all()


@given(seed=st.integers(0, 50))
def test_what_is_ignored_changes_no_surface_distance(seed):
    batch, aim = make_batch(2, seed=seed), objective(boundary=BOUNDARY["surface_distance"])
    other = torch.where(batch.counts[:, None] > 0, batch.label, 1 - batch.label)
    scores = torch.randn(2, 2, 6, 9, generator=torch.Generator().manual_seed(seed))
    changed = Batch(**(vars(batch) | {"label": other}))
    before, after = (reduced(aim, scores, each)["surface_distance"] for each in (batch, changed))
    torch.testing.assert_close(after, before)


def test_an_empty_mask_has_no_border_to_be_far_from():
    batch = make_batch(1)
    batch = Batch(**(vars(batch) | {"label": torch.zeros(1, 2, 6, 9)}))
    scores = torch.randn(1, 2, 6, 9, requires_grad=True)
    value = reduced(objective(boundary=BOUNDARY["surface_distance"]), scores, batch)["surface_distance"]
    value.backward()
    assert value == 0
    assert scores.grad is not None
    assert scores.grad.abs().sum() == 0


def test_a_surface_distance_that_is_negative_enters_a_fixed_sum_with_its_usual_weight():
    terms = {"labels": torch.tensor(2.0), "surface_distance": torch.tensor(-3.0)}
    total = build_weighting("fixed", ["labels", "surface_distance"])(terms, 1.0)
    torch.testing.assert_close(total, torch.tensor(2 - 0.03))
