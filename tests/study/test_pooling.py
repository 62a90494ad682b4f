"""A student that squeezes and excites, from its training to its scores."""

import pytest
from study_usual import job

from segdistill.inference import pooling
from segdistill.networks import load_model
from segdistill.networks.local_pooling import LocalSqueeze, pools_over_all
from segdistill.study.main_job import distill


@pytest.mark.parametrize(("sliding", "window"), [(0.99, 32), (0.8, None)])
def test_a_student_is_saved_and_scored_as_it_was_chosen_to_pool(tissue, tmp_path, monkeypatch, sliding, window):
    said = {False: 0.9, True: sliding}
    monkeypatch.setattr(pooling, "offset_agreement", lambda network, *_, **__: said[not pools_over_all(network)])
    monkeypatch.setattr(pooling, "MAY_LOSE", 1.0)  # after two steps anything may happen
    finished = distill(job(tissue, tmp_path / "run", student="unet-mobilenetv3", baseline=False))
    model = load_model(finished.folder / "model")
    assert model.card.pooling == {"window": window, "whole": 0.9, "sliding": sliding}
    assert any(isinstance(module, LocalSqueeze) for module in model.module.modules()) == (window is not None)
    report = (finished.folder / "report.html").read_text(encoding="utf-8")
    assert f"over {window} px around each place" in report if window else "over all of a tile" in report
