"""Stored features of made-up teachers, and a tiny encoder to learn them."""

import numpy as np
import pytest
import torch

from segdistill.data.image import Image
from segdistill.data.normalisation import PercentileRule
from segdistill.data.sample import Sample
from segdistill.networks.tokens import build_token_encoder
from segdistill.objectives import build_balancing, moments_of, standardisation
from segdistill.targets import Filling, View, create_store, fill_targets, image_key, new_header
from segdistill.teachers.contract import Contract
from segdistill.training.agglomerating import Agglomerated, AgglomeratingProblem, Lessons
from segdistill.training.pictures import make_pictures
from segdistill.training.stored_teacher import StoredTeacher

SIDE, STRIDE = 32, 8
WHOLE = (View(),)


class Cells:
    """Features of squares of 4 pixels: mean and spread, mixed by a matrix, ``gain`` times as large."""

    def __init__(self, name, width, gain=1.0, fails_on=()):
        self.contract = Contract(
            name=name, channels=("gray",), rule=PercentileRule(), outputs=(), weights_sha256=name * 8, licence="MIT",
            tokens={"cells": (4, width)},
        )  # fmt: skip
        self.mixing = gain * np.random.default_rng(width).normal(size=(3, width)).astype(np.float32)
        self.fails_on = fails_on

    def maps(self, image, hint=None):
        if hint is not None and hint.case in self.fails_on:
            raise RuntimeError("no convergence")
        return np.zeros((0, *image.shape[1:]), np.float32)

    def tokens(self, image, names):
        rows, columns = (length // 4 for length in image.shape[1:])
        squares = image[0, : 4 * rows, : 4 * columns].reshape(rows, 4, columns, 4)
        facts = np.stack([squares.mean((1, 3)), squares.std((1, 3)), np.ones((rows, columns))], axis=-1)
        return dict.fromkeys(names, facts.astype(np.float32) @ self.mixing)


def field(name, seed, shape=(40, 56)):
    draw = np.random.default_rng(seed)
    coarse = np.kron(draw.integers(0, 200, (shape[0] // 8, shape[1] // 8)), np.ones((8, 8)))
    array = (coarse + draw.integers(0, 50, shape)).astype(np.uint8)[None]
    image = Image(array, ("gray",), None, f"{name}.tif")
    return Sample(name, image, np.zeros((1, *shape), np.int32), np.array([False]), np.ones(shape, bool))


@pytest.fixture(scope="session")
def fields():
    return {f"field{number}": field(f"field{number}", number) for number in range(5)}


@pytest.fixture
def store_of(tmp_path, fields):
    """Fill a store with what a teacher says of all fields."""

    def make(teacher, *, names=None, views=WHOLE):
        header = new_header(teacher.contract, tokens=("cells",), tokens_as="float16", views=views)
        store = create_store(tmp_path / f"{teacher.contract.name}-{len(list(tmp_path.iterdir()))}", header)
        fill_targets(store, Filling(teachers=[teacher], names=names or list(fields), read=fields.__getitem__))
        return store

    return make


@pytest.fixture
def stored(store_of):
    """A teacher whose features lie in a store."""

    def make(label="a", width=6, *, standard="phi-s", **options):
        keep = {name: options.pop(name) for name in ("names", "views") if name in options}
        store = store_of(Cells(label, width, **options), **keep)
        grids = [store.tokens(key, "cells").reshape(-1, width) for key in sorted(store.keys()) if store.has(key)]
        moments = moments_of(np.concatenate(grids))
        return StoredTeacher(label, store, "cells", standardisation(standard, moments), moments.mean)

    return make


@pytest.fixture
def pictures(fields):
    def make(*names, views=WHOLE, side=SIDE):
        return [
            each
            for name in names or fields
            for each in make_pictures(
                name, fields[name].image.array.astype(np.float32) / 255, image_key(fields[name].image), views=views,
                side=side, stride=STRIDE,
            )
        ]  # fmt: skip

    return make


@pytest.fixture
def agglomerating(pictures):
    """The problem of learning some stored teachers with the encoder of unet-tiny."""

    def make(teachers, *, terms=("token_mse",), balancing="uniform", training=None, validation=(), batch=4, **options):
        torch.manual_seed(0)
        encoder = build_token_encoder("unet-tiny", channels=1)
        labels = [each.label for each in teachers]
        module = Agglomerated(
            encoder, {each.label: each.width for each in teachers}, terms, build_balancing(balancing, labels, **options)
        )
        lessons = Lessons(terms=terms, batch_size=batch, weight_decay=0.01, jitter=None, seed=3)
        seen = pictures() if training is None else training
        return AgglomeratingProblem(module, teachers, lessons, training=seen, validation=validation)

    return make
