"""What earlier versions wrote is still read, and says what it said; `old_files/README.md` tells how it was made."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from segdistill import load_model, load_teacher, predict
from segdistill.engine import train
from segdistill.engine.checkpoint import load_checkpoint
from segdistill.networks import build_student
from segdistill.networks.encoder_folder import read_encoder
from segdistill.settings import Distill, open_run, validated
from segdistill.study.main_job import SAME_RESULT

HERE = Path(__file__).parent
OLD = HERE / "old_files"


def picture(channels=1, shape=(40, 56)):
    """Return waves of other lengths in each channel, 0 to 1."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    waves = [np.sin(rows / (3 + each)) * np.cos(columns / (4 + each)) for each in range(channels)]
    return (0.5 + 0.5 * np.stack(waves)).astype(np.float32)


def assert_said(maps, kept):
    """Compare mean, deviation and three values of each map with what they were."""
    found = [[each.mean(), each.std(), each[1, 2], each[-2, -3], each[-1, -1]] for each in map(np.float64, maps)]
    np.testing.assert_allclose(found, kept, rtol=0, atol=1e-4)


def test_a_model_gives_the_scores_it_gave():
    with torch.inference_mode():
        scores = load_model(OLD / "model_1").module(torch.from_numpy(picture())[None])[0].numpy()
    assert_said(
        scores,
        [[1.402202, 1.851912, 1.408342, 0.358666, 0.237343], [-2.199999, 0.820309, -0.639797, -0.423949, -0.147603]],
    )


def test_a_model_gives_the_masks_it_gave():
    (mask,) = predict(OLD / "model_1", picture()).values()
    assert (int(mask.max()), int((mask > 0).sum())) == (1, 1915)


def test_an_adapter_is_the_teacher_that_it_was():
    teacher = load_teacher(f"adapter:{OLD / 'adapter_1'}")
    contract = teacher.contract
    assert (contract.outputs, contract.channels) == (("cell", "cell.boundary"), ("blank", "nucleus", "membrane"))
    assert contract.labels_seen == 200 + 6
    assert_said(
        teacher.maps(picture(3)),
        [[0.420049, 0.148537, 0.454394, 0.471419, 0.456503], [0.475901, 0.169939, 0.44554, 0.531743, 0.52708]],
    )


def test_students_begin_with_an_encoder():
    card = read_encoder(OLD / "encoder_1")
    assert (card.architecture, card.labels_used, card.parameters) == ("unet-tiny", 200, 29_032)
    student = build_student("unet-tiny", channels=1, outputs=2, encoder_weights=OLD / "encoder_1")
    with torch.inference_mode():
        features = student.encoder(torch.from_numpy(picture())[None])
    assert_said(
        [each[0].mean(dim=0).numpy() for each in features],
        [
            [0.298444, 0.131586, 0.360371, 0.297601, 0.139266],
            [0.416729, 0.12794, 0.430547, 0.222195, 0.146694],
            [0.183526, 0.045555, 0.225271, 0.159054, 0.136238],
            [0.26282, 0.062095, 0.325753, 0.275754, 0.154507],
        ],
    )


def test_a_run_folder_is_that_of_the_same_settings(tmp_path):
    folder = shutil.copytree(OLD / "run_1", tmp_path / "run")
    kept = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    settings = validated(Distill, kept)
    with open_run(folder, settings.resolved(), ignoring=SAME_RESULT, defaults=Distill.defaults()) as run:
        assert run.resumed
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert validated(Distill, record["settings"]) == settings


def test_a_run_that_was_interrupted_goes_on(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(HERE / "engine"))
    from engine_toy import Toy, plan

    folder, told = shutil.copytree(OLD / "checkpoint_1", tmp_path / "run"), []
    train(Toy(norm=True, dropout=0.1), folder, plan(checkpoint_every=4, log_every=1), notice=told.append)
    assert "going on after step 4 of 8" in told[0]
    weights = load_checkpoint(folder, notice=pytest.fail)["module"]["body.0.weight"]
    # As of the run that nothing interrupted.
    assert_said(weights.reshape(1, 6, 9).numpy(), [[0.002246, 0.192412, 0.025228, 0.077724, 0.074569]])
