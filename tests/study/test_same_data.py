"""A run's folder keeps to the data that began it."""

import json
import shutil

import numpy as np
import pytest
import tifffile
from study_usual import job, plan

from segdistill.errors import ConfigError
from segdistill.settings import Protocol
from segdistill.study.main_job import distill
from segdistill.study.same_data import claim_data
from segdistill.study.study_job import study

SHORT = Protocol(steps=1, batch_size=2, crop=32, validations=1)


@pytest.fixture
def own(tissue, tmp_path):
    """Return a copy of the tissue, to be changed."""
    return shutil.copytree(tissue, tmp_path / "own")


def run(own, out):
    return distill(job(own, out, teacher="sam-tiny-tissue", protocol=SHORT))


def change_label(own):
    path = sorted((own / "labels/cell").iterdir())[2]
    label = tifffile.imread(path)
    tifffile.imwrite(path, np.where(label == label.max(), 0, label))
    return path.stem


def test_a_run_whose_labels_changed_is_refused_and_goes_on_once_they_are_put_back(own, tissue, tmp_path):
    first = run(own, tmp_path / "run")
    scores = (tmp_path / "run/scores.csv").read_text()
    name = change_label(own)
    with pytest.raises(
        ConfigError, match=rf"begun with other data: .*1 changed, or their labels or groups did \({name}\)"
    ):
        run(own, tmp_path / "run")
    assert (tmp_path / "run/scores.csv").read_text() == scores
    shutil.copytree(tissue, own, dirs_exist_ok=True)
    assert run(own, tmp_path / "run").verdict == first.verdict


def test_a_study_whose_images_changed_is_refused(own, tmp_path):
    settings = plan(own, tmp_path / "study", protocol=SHORT)
    study(settings)
    for folder in ("images", "labels/cell", "labels/nucleus"):
        for path in (own / folder).glob("tissue_0003*"):
            path.unlink()
    with pytest.raises(ConfigError, match=r"1 are gone \(tissue_0003\)"):
        study(settings)


def test_the_same_labels_give_the_same_identity_and_others_another(own, tmp_path):
    def identity(folder):
        return json.loads((folder / "run.json").read_text())["run_id"]

    for out in ("a", "b"):
        run(own, tmp_path / out)
    change_label(own)
    run(own, tmp_path / "c")
    assert identity(tmp_path / "a") == identity(tmp_path / "b") != identity(tmp_path / "c")


def test_what_changed_came_and_went_is_counted_and_some_are_named(tmp_path):
    claim_data(tmp_path, dict.fromkeys("abcdefg", "1"))
    (tmp_path / "model").mkdir()
    claim_data(tmp_path, dict.fromkeys("abcdefg", "1"))
    now = {**dict.fromkeys("abcde", "2"), "f": "1", "h": "1"}
    with pytest.raises(ConfigError) as raised:
        claim_data(tmp_path, now)
    told = str(raised.value)
    assert "5 changed, or their labels or groups did (a, b, c …); 1 are new (h); 1 are gone (g)." in told


def test_a_folder_in_which_nothing_was_made_takes_other_data(tmp_path):
    claim_data(tmp_path, {"a": "1"})
    (tmp_path / "settings.json").write_text("{}")
    claim_data(tmp_path, {"a": "2"})
    assert json.loads((tmp_path / "data.json").read_text()) == {"a": "2"}


def test_a_run_of_before_data_were_kept_goes_on(own, tmp_path):
    first = run(own, tmp_path / "run")
    (tmp_path / "run/data.json").unlink()
    assert run(own, tmp_path / "run").verdict == first.verdict
    change_label(own)
    with pytest.raises(ConfigError, match="begun with other data"):
        run(own, tmp_path / "run")
