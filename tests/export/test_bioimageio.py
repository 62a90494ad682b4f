"""A package for the bioimage.io model zoo."""

import json
import os
import subprocess
import sys
import zipfile
from importlib.util import find_spec

import pytest

from segdistill.errors import ConfigError
from segdistill.export import export
from segdistill.export.bioimageio_file import Shared, shared_of
from segdistill.inference.export_card import read_export
from segdistill.settings import Export, validated

MAKERS = {"authors": ("A. Maker", "B. Helper"), "licence": "CC-BY-4.0"}


@pytest.fixture(scope="module")
def package(tmp_path_factory, folder, images):
    out = tmp_path_factory.mktemp("package") / "out"
    settings = Export(model=folder, out=out, formats=("bioimageio",), check=(images,), **MAKERS)
    assert export(settings, notice=lambda _: None).failed == {}
    return out


@pytest.mark.skipif(find_spec("bioimageio") is None, reason="bioimageio.core is not installed")
def test_the_zoos_own_test_passes(package, tmp_path):
    words = [sys.executable, "-m", "bioimageio.core", "test", str(package / "bioimageio.zip")]
    home = {**os.environ, "HOME": str(tmp_path)}
    done = subprocess.run(words, capture_output=True, text=True, env=home, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Testing inference with 'torchscript' for 6 different inputs" in done.stdout + done.stderr


def test_it_is_compared_with_the_student_like_every_format(package):
    kept = read_export(package).formats["bioimageio"]
    assert kept.equality.images == 2
    assert kept.equality.difference < 1e-4
    assert kept.equality.dice["cell"] > 0.999


def test_it_says_how_it_is_used_and_holds_nobodys_image(package):
    with zipfile.ZipFile(package / "bioimageio.zip") as held:
        said = json.loads(held.read("rdf.yaml"))
        assert sorted(held.namelist()) == ["README.md", "input.npy", "output.npy", "rdf.yaml", "weights.torchscript"]
    assert [author["name"] for author in said["authors"]] == ["A. Maker", "B. Helper"]
    assert said["license"] == "CC-BY-4.0"
    assert said["outputs"][0]["axes"][1]["channel_names"] == ["cell", "cell_boundary"]
    assert said["config"]["segdistill"]["channels"] == ["channel0"]


def test_equal_students_give_equal_packages_and_other_makers_another(package, folder, images, tmp_path):
    settings = Export(model=folder, out=tmp_path / "out", formats=("bioimageio",), check=(images,), **MAKERS)
    export(settings, notice=lambda _: None)
    assert export(settings, notice=lambda _: None).made == ()
    with zipfile.ZipFile(package / "bioimageio.zip") as one, zipfile.ZipFile(tmp_path / "out/bioimageio.zip") as two:
        assert all(one.read(name) == two.read(name) for name in ("rdf.yaml", "README.md", "input.npy", "output.npy"))
    other = settings.model_copy(update={"authors": ("C. Other",)})
    assert export(other, notice=lambda _: None).made == ("bioimageio",)
    assert shared_of(tmp_path / "out/bioimageio.zip") == Shared(("C. Other",), "CC-BY-4.0")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "must say who made it"),
        ({"authors": ("A. Maker",)}, "--licence CC-BY-4.0"),
        ({"formats": ("onnx",), **MAKERS}, "said in a bioimageio package alone"),
        ({**MAKERS, "licence": "as I like it"}, "pattern"),
    ],
)
def test_makers_and_licence_are_asked_for_and_only_where_they_are_said(folder, images, tmp_path, changes, words):
    with pytest.raises(ConfigError, match=words):
        validated(Export, {"model": folder, "out": tmp_path, "formats": ("bioimageio",), "check": (images,), **changes})
