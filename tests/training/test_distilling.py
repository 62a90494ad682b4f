import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

from segdistill.data.labels import Structure
from segdistill.engine import Problem
from segdistill.errors import ConfigError
from segdistill.networks.build import build_student
from segdistill.objectives import BOUNDARY, DISTILLATION, binary_kl, build_weighting
from segdistill.objectives.distillation import logits_of
from segdistill.settings import Arm
from segdistill.training.distilling import Distilling, Drawing, Taught
from segdistill.training.entries import Entry
from segdistill.training.fit import make_objective, make_weighting
from segdistill.training.objective import Objective

CELL = (Structure("cell", True),)
CPU = torch.device("cpu")


def entry(name, *, labelled=True, target=True, shape=(20, 31), seed=0):
    draw = np.random.default_rng(seed)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    planes = (1 + rows // 5 * 8 + columns // 5).astype(np.int32)[None] * labelled
    maps = {"cell": rows / shape[0], "cell.boundary": columns / shape[1]}
    return Entry(
        name,
        draw.random((1, *shape), dtype=np.float32),
        planes,
        np.array([labelled]),
        np.ones(shape, bool),
        {key: value.astype(np.float16) for key, value in maps.items()} if target else {},
    )


def problem(entries, *, batch_size=4, share=0.5, jitter=None, seed=3):
    objective = Objective(CELL, (0, 1), True, DISTILLATION["probability_mse"], BOUNDARY["gradient_3"])
    torch.manual_seed(0)
    module = Taught(build_student("unet-tiny", channels=1, outputs=2), build_weighting("uncertainty", objective.terms))
    drawing = Drawing(
        seed=seed, batch_size=batch_size, labelled_share=share, crop=16, scale=(0.75, 1.25), flips=True, turns=True,
        jitter=jitter,
    )  # fmt: skip
    return Distilling(module, objective, training=entries, validation=[], drawing=drawing, weight_decay=0.1)


def test_it_keeps_the_engines_protocol():
    made = problem([entry("a"), entry("b", target=False)])
    assert isinstance(made, Problem)
    sent = pickle.loads(pickle.dumps(made))  # as other processes get it
    batch, again = (each.collate(each.batch(3, 0, 1), 3, CPU) for each in (made, sent))
    torch.testing.assert_close(again.image, batch.image, rtol=0, atol=0)
    first, second = (each.terms(each.module, batch, each.weights(batch)) for each in (made, sent))
    torch.testing.assert_close(second, first, rtol=0, atol=0)


def test_a_batch_is_a_function_of_the_step():
    entries = [entry(str(number), labelled=number < 2) for number in range(7)]
    first, again = problem(entries).batch(5, 0, 1), problem(entries).batch(5, 0, 1)
    other = problem(entries).batch(6, 0, 1)
    assert [(c.entry.name, c.view) for c in first] == [(c.entry.name, c.view) for c in again]
    assert [(c.entry.name, c.view) for c in first] != [(c.entry.name, c.view) for c in other]


def test_two_processes_share_the_batch_of_one():
    entries = [entry(str(number), labelled=number < 2) for number in range(7)]
    whole = {c.slot: (c.entry.name, c.view) for c in problem(entries).batch(2, 0, 1)}
    shared = [c for rank in range(2) for c in problem(entries).batch(2, rank, 2)]
    assert {c.slot: (c.entry.name, c.view) for c in shared} == whole


@pytest.mark.parametrize(
    ("labelled", "unlabelled", "share", "expected"),
    [(2, 98, 0.5, 4), (2, 98, 0.0, 1), (50, 50, 0.25, 4), (90, 10, 0.5, 7), (5, 0, 0.5, 8), (0, 5, 0.5, 0)],
)
def test_labelled_fields_have_their_share_of_every_batch(labelled, unlabelled, share, expected):
    entries = [entry(f"l{n}") for n in range(labelled)] + [entry(f"u{n}", labelled=False) for n in range(unlabelled)]
    made = problem(entries, batch_size=8, share=share)
    for step in range(3):
        assert sum(c.entry.labelled for c in made.batch(step, 0, 1)) == expected


def test_image_label_and_target_stay_registered():
    # The image is made equal to the target of "cell": after the same views both still agree.
    field = entry("a", shape=(40, 60))
    image = field.target["cell"].astype(np.float32)[None]
    made = problem([Entry("a", image, field.planes, field.known, field.counts, field.target)])
    for step in range(5):
        batch = made.collate(made.batch(step, 0, 1), step, CPU)
        inside = batch.counts > 0
        assert torch.allclose(batch.image[:, 0][inside], batch.target[:, 0][inside], atol=1e-3)


def test_splitting_a_batch_changes_none_of_its_crops():
    entries = [entry(str(number), labelled=number < 3, target=number != 4) for number in range(6)]
    made = problem(entries)
    samples = made.batch(1, 0, 1)
    whole = made.collate(samples, 1, CPU)
    first, second = made.collate(samples[:1], 1, CPU), made.collate(samples[1:], 1, CPU)
    for name, value in vars(whole).items():
        assert torch.equal(value, torch.cat([getattr(first, name), getattr(second, name)])), name


def test_weight_decay_is_for_matrices_alone():
    groups = problem([entry("a")]).parameter_groups()
    assert all(p.ndim > 1 for p in groups[0]["params"])
    assert groups[0]["weight_decay"] == 0.1
    assert all(p.ndim <= 1 for p in groups[1]["params"])
    assert groups[1]["weight_decay"] == 0.0
    # three log variances of three terms are among the second
    assert sum(p.ndim == 0 for p in groups[1]["params"]) == 3


def test_nothing_to_learn_from_is_refused():
    with pytest.raises(ConfigError, match="no field to learn from"):
        problem([])


def test_a_crop_larger_than_its_field_counts_only_the_field():
    made = problem([entry("a", shape=(9, 7))])
    batch = made.collate(made.batch(0, 0, 1), 0, CPU)
    assert 0 < batch.counts.sum() < batch.counts.numel()
    assert batch.image.shape == (4, 1, 16, 16)


def test_channels_are_left_blank_in_half_of_the_crops_whoever_draws_them():
    both = [replace(entry(name), image=np.ones((2, 20, 31), np.float32)) for name in "abc"]
    objective = Objective(CELL, (0, 1), True, DISTILLATION["probability_mse"], BOUNDARY["gradient_3"])
    module = Taught(build_student("unet-tiny", channels=2, outputs=2), build_weighting("fixed", objective.terms))
    drawing = replace(problem([entry("a")]).drawing, dropped=1)
    made = Distilling(module, objective, training=both, validation=[], drawing=drawing, weight_decay=0.1)
    blank = []
    for step in range(50):
        crops = made.batch(step, 0, 1)
        image = made.collate(crops, step, CPU).image
        assert (image[:, 0] == 1).all()
        blank += [not part.any() for part in image[:, 1]]
        for place, crop in enumerate(crops):  # alone or among others, a crop is the same
            assert torch.equal(made.collate([crop], step, CPU).image[0], image[place])
    assert 70 <= sum(blank) <= 130  # of 200, one in two


def test_what_an_arm_says_of_its_terms_reaches_them():
    arm = Arm(name="a", role="student", teacher="t", distillation="binary_kl", temperature=7.0, boundary="gradient_5")
    aim, made = make_objective(arm, CELL, [entry("a")]), problem([entry("a")])
    batch = made.collate(made.batch(0, 0, 1), 0, CPU)
    scores = torch.randn(batch.label.shape, generator=torch.Generator().manual_seed(0))
    found = aim.values(scores, batch)["distillation"]
    torch.testing.assert_close(found, binary_kl(scores, logits_of(batch.target), temperature=7.0))
    assert aim.boundary is BOUNDARY["gradient_5"]
    assert make_objective(arm.model_copy(update={"boundary": "none"}), CELL, [entry("a")]).boundary is None


def test_the_weights_of_an_arm_enter_the_sum():
    # 2 · 1 + 3 · 10 + 1 · 100; of the surface distance, 0.01 · 100.
    arm = Arm(name="a", role="student", teacher="t", weighting="fixed", weights={"labels": 2.0, "distillation": 3.0})
    terms = {"labels": torch.tensor(1.0), "distillation": torch.tensor(10.0), "boundary": torch.tensor(100.0)}
    assert make_weighting(arm, tuple(terms))(terms, 1.0) == 132
    terms["surface_distance"] = terms.pop("boundary")
    assert make_weighting(arm, tuple(terms))(terms, 1.0) == 33
    del terms["distillation"]  # nothing was taught by a teacher
    assert make_weighting(arm, tuple(terms)).scalars() == {"w_labels": 2.0, "w_surface_distance": 0.01}
