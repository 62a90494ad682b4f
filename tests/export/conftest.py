from pathlib import Path

import jaxtyping
import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from torch import nn

from segdistill.data.labels import Structure
from segdistill.export import export
from segdistill.export.bioimageio_file import Shared
from segdistill.export.formats import FORMATS, Source
from segdistill.export.graph import Graph
from segdistill.networks.build import build_student
from segdistill.networks.card import ModelCard
from segdistill.networks.model import Model, save_model
from segdistill.settings import Export

SHARED = Shared(("A. Maker",), "CC-BY-4.0")
CELL = Structure("cell", instances=True)


def make_card(name="unet-tiny", channels=("channel0",), structures=(CELL,), **facts):
    usual = {
        "architecture": name,
        "channels": channels,
        "normalisation": {"rule": "percentile", "lower": 0.1, "upper": 99.9},
        "structures": structures,
        "crop": 64,
        "halo": {"exact": None, "fast": 16},
    }
    return ModelCard(**{**usual, **facts})


def make_student(card):
    """A student whose scores vary over the image, as a trained one's do."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        student = build_student(card.architecture, channels=len(card.channels), outputs=len(card.outputs)).eval()
        if card.architecture == "unet-tiny":
            nn.init.normal_(student.network.head.weight, std=1.0)
    return student


@pytest.fixture(scope="module", autouse=True)
def untyped():
    """Shapes are no numbers while a pass is recorded, so annotations of shapes cannot be checked then.

    A module at a time, so that tests of other folders are checked as ever: a package's fixture would last to the end.
    """
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)


@pytest.fixture
def card():
    return make_card


@pytest.fixture
def student():
    return make_student


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A saved unet-tiny."""
    path = tmp_path_factory.mktemp("model")
    card = make_card()
    save_model(path, Model(make_student(card), card))
    return path


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    """Two pictures in 16 bits, none square."""
    path = tmp_path_factory.mktemp("images")
    for seed, shape in ((0, (75, 110)), (1, (64, 140))):
        generator = np.random.default_rng(seed)
        rough = generator.integers(200, 60_000, (shape[0] // 8 + 1, shape[1] // 8 + 1))
        smooth = np.kron(rough, np.ones((8, 8)))[: shape[0], : shape[1]].astype(np.uint16)
        Pillow.fromarray(smooth).save(path / f"{seed}.png")
    return path


@pytest.fixture(scope="module")
def exported(tmp_path_factory, folder, images) -> Path:
    """The tiny student in the two usual formats. Tests leave it as it is."""
    out = tmp_path_factory.mktemp("exported") / "out"
    done = export(Export(model=folder, out=out, check=(images,)), notice=lambda _: None)
    assert done.failed == {}
    return out


@pytest.fixture
def written(tmp_path):
    """Write a student in one format and open it."""

    def write(name, card, student):
        kind = FORMATS[name]
        scratch = tmp_path / "scratch"
        scratch.mkdir(exist_ok=True)
        made_by = kind.write(tmp_path / kind.files[0], Source(Graph(student).eval(), card, [], scratch, SHARED))
        return kind.load(tmp_path / kind.files[0]), made_by

    return write
