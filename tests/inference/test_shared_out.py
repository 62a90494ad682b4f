import re
import shutil
from dataclasses import replace

import numpy as np
import pytest

from segdistill.distribution import Team, team_of
from segdistill.errors import ConfigError, EnvironmentFault
from segdistill.inference import Options, predict_files, shared_out
from segdistill.networks import Model, build_student, load_model, save_model

CPU = Options(device="cpu", tile=64, outputs=("labels", "geojson"), probabilities=True)


@pytest.fixture
def team(cluster):
    with team_of(1, cluster.scheduler_address) as found:
        yield found


@pytest.fixture
def model(tmp_path, bright):
    """A folder of a student whose weights are whatever they were drawn to be."""
    network = build_student("unet-tiny", channels=1, outputs=2)
    card = bright("channel0", halo={"exact": 16, "fast": 8}).card
    save_model(tmp_path / "model", Model(network, card))
    return tmp_path / "model"


@pytest.fixture
def images(tmp_path, tif):
    """Small images, a large one, and one that is none."""
    draw = np.random.default_rng(0)
    for name, shape in {"a": (40, 61), "b": (70, 50), "large": (420, 550), "c": (33, 47)}.items():
        tif(tmp_path / "in" / f"{name}.tif", draw.integers(0, 200, shape).astype(np.uint8))
    (tmp_path / "in" / "broken.tif").write_bytes(b"no picture")
    return tmp_path / "in"


def files_in(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in {"predictions.jsonl", ".lock"}
    }


def test_a_team_leaves_the_same_files_to_the_byte_though_a_worker_is_killed(  # noqa: PLR0917
    model, images, tmp_path, team, given, kill_a_busy_worker, records, monkeypatch
):
    monkeypatch.setattr(shared_out, "LARGEST", 10_000)
    alone = predict_files(model, [images], tmp_path / "alone", options=CPU)
    heard = []
    together = predict_files(model, [images], tmp_path / "together", options=CPU, team=team, notice=heard.append)
    assert (killed := kill_a_busy_worker())
    assert any(given[key] >= 2 for key in killed)  # done again
    assert together == alone
    assert together.done == ("a", "b", "c", "large")
    assert [*together.failed] == [str(images / "broken.tif")]
    assert files_in(tmp_path / "together") == files_in(tmp_path / "alone")
    lines = {folder: {line["image"]: line for line in records(tmp_path / folder)} for folder in ("alone", "together")}
    assert lines["alone"] == lines["together"]
    assert any(re.fullmatch(r"\[\d/5\] large: large, so its windows are shared out", line) for line in heard)
    again = predict_files(model, [images], tmp_path / "together", options=CPU)  # one process goes on where a team was
    assert (again.done, again.skipped) == ((), ("a", "b", "c", "large"))


def test_windows_of_a_large_image_are_computed_by_workers_alone(model, images, tmp_path, team, monkeypatch):
    def refuse(*_):
        raise AssertionError

    monkeypatch.setattr(shared_out, "LARGEST", 10_000)
    monkeypatch.setattr("segdistill.inference.one_image.run_windows", refuse)  # in this process, not in theirs
    assert predict_files(model, [images / "large.tif"], tmp_path / "out", options=CPU, team=team).done == ("large",)


def test_a_model_in_memory_cannot_be_shared(bright, images, tmp_path, team):
    with pytest.raises(ConfigError, match="Workers read the model from its folder"):
        predict_files(bright("channel0"), [images], tmp_path / "out", options=CPU, team=team)


def test_a_worker_that_sees_another_model_is_refused(model, images, tmp_path, team, bright):
    save_model(tmp_path / "other", Model(build_student("unet-tiny", channels=1, outputs=2), bright("channel0").card))
    predict_files(model, [images / "a.tif"], tmp_path / "out", options=CPU, team=team)

    class Elsewhere(Team):
        def __init__(self):
            pass

        def ask_each(self, question, task, weights_sha256):
            return team.ask_each(question, replace(task, model=tmp_path / "other"), weights_sha256)

    with pytest.raises(EnvironmentFault, match=r"finds another model in .*/other\. Use folders that all"):
        predict_files(model, [images / "b.tif"], tmp_path / "out", options=CPU, team=Elsewhere())


def test_workers_that_have_read_a_model_before_read_it_anew_where_its_card_changed(model, images, tmp_path, team):
    predict_files(model, [images / "a.tif"], tmp_path / "out", options=CPU, team=team)
    shutil.rmtree(tmp_path / "out")
    loaded = load_model(model)
    thresholds = {"cell": {"foreground": 0.9, "seed": 0.9, "smoothing": 0.0, "minimum_size": 3}}
    shutil.rmtree(model)
    save_model(model, Model(loaded.module, loaded.card.model_copy(update={"thresholds": thresholds})))
    predict_files(model, [images / "a.tif"], tmp_path / "out", options=CPU, team=team)
    predict_files(model, [images / "a.tif"], tmp_path / "alone", options=CPU)
    assert files_in(tmp_path / "out") == files_in(tmp_path / "alone")
