"""A step as it is on a GPU, with tensors that have a device and a shape but no numbers: nothing is left on the CPU."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from segdistill.augment import Jitter, intensity
from segdistill.data.labels import Structure
from segdistill.networks.build import build_student
from segdistill.networks.last_layer import WithFeatures
from segdistill.networks.stain_head import WithStains
from segdistill.objectives import BOUNDARY, DISTILLATION, build_weighting
from segdistill.settings import Protocol
from segdistill.training.distilling import Distilling, Drawing, Taught
from segdistill.training.entries import Entry
from segdistill.training.fit import make_plan
from segdistill.training.objective import Objective

ORGANS = (Structure("cell", True), Structure("vessel", False))
GPU = torch.device("cuda", 0)


def entry(name, *, labelled, seed, stains=0, classes=0):
    draw = np.random.default_rng(seed)
    shape = (40, 56)
    planes = draw.integers(0, 5, (2, *shape)).astype(np.int32) * labelled
    target = {each: draw.random(shape).astype(np.float16) for each in ("cell", "cell.boundary", "vessel")}
    return Entry(
        name,
        draw.random((2, *shape), dtype=np.float32),
        planes,
        np.array([labelled, labelled]),
        draw.random(shape) < 0.9,
        target if name != "a" else {},
        draw.random((stains, *shape), dtype=np.float32) if stains else None,
        draw.random((classes, *shape)).astype(np.float16) if classes else None,
    )


def drawing(**changes):
    usual = Drawing(
        seed=3, batch_size=4, labelled_share=0.5, crop=32, scale=(0.75, 1.25), flips=True, turns=True, jitter=Jitter()
    )
    return replace(usual, **changes)


def loss_on_a_gpu(objective, entries, *, weighting="uncertainty", stains=0, **drawn):
    """Return the loss of one step; its gradient would need the GPU's driver."""
    with FakeTensorMode(allow_non_fake_inputs=True):
        with GPU:
            network = build_student("unet-tiny", channels=2, outputs=3 + stains)
            student = WithStains(network, 3) if stains else network
            student = WithFeatures(student) if objective.classes else student
            module = Taught(student, build_weighting(weighting, objective.terms))
        problem = Distilling(
            module, objective, training=entries, validation=[], drawing=drawing(**drawn), weight_decay=0.1
        )
        batch = problem.collate(problem.batch(0, 0, 1), 0, GPU)
        terms = problem.terms(module, batch, problem.weights(batch))
        return problem.combine(module, terms, 1.0)


@pytest.fixture(autouse=True)
def no_generator(monkeypatch):
    """A generator of random numbers on a GPU is the one thing that cannot be had without one."""
    monkeypatch.setattr(intensity, "_normal", lambda key, like: torch.empty_like(like))  # noqa: ARG005


@pytest.mark.parametrize("term", [name for name, each in DISTILLATION.items() if not each.exclusive])
def test_every_term_is_computed_where_the_student_is(term):
    classes = 4 if DISTILLATION[term].prototypes else 0
    objective = Objective(ORGANS, (0, 1, 2), True, DISTILLATION[term], BOUNDARY["gradient_3"])
    entries = [entry(name, labelled=name < "c", seed=seed, classes=classes) for seed, name in enumerate("abcd")]
    assert loss_on_a_gpu(objective, entries).device == GPU


@pytest.mark.parametrize("term", BOUNDARY)
def test_borders_are_compared_where_the_student_is(term):
    objective = Objective(ORGANS, (0, 1, 2), True, DISTILLATION["probability_mse"], BOUNDARY[term])
    entries = [entry(name, labelled=name < "c", seed=seed) for seed, name in enumerate("abcd")]
    assert loss_on_a_gpu(objective, entries, weighting="fixed").device == GPU


def test_blank_channels_and_stains_too():
    objective = Objective(ORGANS, (0, 1, 2), True, DISTILLATION["probability_mse"], BOUNDARY["gradient_3"], stains=1)
    entries = [entry(name, labelled=True, seed=seed, stains=1) for seed, name in enumerate("ab")]
    assert loss_on_a_gpu(objective, entries, weighting="bounded", stains=1, dropped=1).device == GPU


@pytest.mark.parametrize("device", ["cpu", "cuda", "cuda:0", "cuda:3", "mps"])
def test_the_plan_knows_the_kind_of_device_alone(device):
    plan = make_plan(Protocol(), learning_rate=0.1, seed=0, device=device)
    assert plan.device == device.partition(":")[0]


def test_a_tensor_that_is_left_on_the_cpu_is_found():
    objective = Objective(ORGANS, (0, 1, 2), True, DISTILLATION["probability_mse"], BOUNDARY["gradient_3"])
    entries = [entry(name, labelled=True, seed=seed) for seed, name in enumerate("ab")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Distilling, "_with_blanks", lambda self, image, samples, step: image.cpu())  # noqa: ARG005
        with pytest.raises(RuntimeError, match="device"):
            loss_on_a_gpu(objective, entries)
