"""What it took to train an adapter or an encoder."""

import json

import pytest
from torch import nn

from segdistill.engine.duration import training_seconds
from segdistill.study.cost import cost_in_words, cost_of


def paces(*pairs):
    return [{"step": step, "images_per_s": pace} for step, pace in pairs]


def test_time_is_that_of_every_step_over_all_starts():
    # 10 steps of 4 at 8 a second; then, gone on at step 15, a line for steps 11 to 20 at 2 a second; a validation
    lines = [*paces((10, 8.0)), {"step": 10, "validation": {"score": 0.5}}, *paces((20, 2.0), (25, 4.0))]
    assert training_seconds(lines, batch_size=4) == pytest.approx(5 + 20 + 5)


def test_without_a_pace_no_time_is_made_up():
    assert training_seconds([{"step": 5, "validation": {"score": 0.1}}], batch_size=4) is None
    assert training_seconds([{"step": 5, "images_per_s": None}], batch_size=4) is None


def test_only_parameters_that_learn_are_counted(tmp_path):
    (tmp_path / "log.jsonl").write_text(json.dumps({"step": 4, "images_per_s": 2.0}) + "\n", encoding="utf-8")
    network = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))
    network[0].requires_grad_(False)
    cost = cost_of(tmp_path, network, batch_size=3, device="cpu")
    assert (cost["seconds"], cost["parameters"], cost["gpu_peak_bytes"]) == (6.0, 3, None)
    assert cost["peak_bytes"] is None or cost["peak_bytes"] > 10e6
    json.dumps(cost)


def test_what_is_not_known_is_not_said():
    cost = {"seconds": None, "parameters": 1, "peak_bytes": None, "gpu_peak_bytes": None}
    assert cost_in_words({"cost": cost}) == "Trained 1 parameter."
