"""Scoring students on other data sets: what is scored there, kept, told, and refused."""

import csv
import json
import shutil

import numpy as np
import pytest
import tifffile
from study_usual import ARMS, job, plan

from segdistill.data.datasets import read_dataset
from segdistill.data.labels import Structure
from segdistill.data.normalisation import rule_to_json
from segdistill.data.pseudonyms import image_sha256
from segdistill.data.simulate import TissueSettings, write_tissue
from segdistill.errors import ConfigError, DataError
from segdistill.networks.build import build_student
from segdistill.networks.card import HASH_DIGITS, ModelCard
from segdistill.networks.encoder_folder import EncoderCard, save_encoder
from segdistill.networks.model import Model, save_model
from segdistill.study.arms import RULE
from segdistill.study.main_job import distill
from segdistill.study.study_account import conclude_study
from segdistill.study.study_job import study
from segdistill.synthesis.card import CARD as SYNTHESIS_CARD
from segdistill.synthesis.card import SynthesisCard

QUICK = {"teacher": "blurred:2", "teacher_channels": ()}
"""A teacher that takes no time: what students know is not the question here."""


@pytest.fixture(scope="session")
def slides(tmp_path_factory):
    """Four pictures without channel names, two of them dark on bright, whose nuclei are labelled and nothing else."""
    made, folder = tmp_path_factory.mktemp("made"), tmp_path_factory.mktemp("slides")
    write_tissue(made, count=4, seed=8, settings=TissueSettings(height=40, width=72))
    for name in ("images", "labels"):
        (folder / name).mkdir()
    for number, image in enumerate(sorted((made / "images").iterdir())):
        name = image.name.removesuffix(".ome.tif")
        shown = tifffile.imread(image)[0].astype(float)
        grey = np.rint(255 * (shown - shown.min()) / np.ptp(shown)).astype(np.uint8)
        tifffile.imwrite(folder / "images" / f"{name}.tif", 255 - grey if number < 2 else grey)
        shutil.copy(made / "labels/nucleus" / f"{name}.tif", folder / "labels" / f"{name}.tif")
    return folder


def shift_of(slides, **changes):
    usual = {"data": slides, "structure": "nucleus", "label_kind": "instances", "student_channels": ("luma",)}
    return {"slides": usual | {"invert": "bright"} | changes}


def rows_of(path):
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def test_students_are_scored_elsewhere_on_what_is_labelled_there_and_once(tissue, slides, tmp_path):
    both = {"label_sets": ("cell", "nucleus"), **QUICK}
    alone = distill(job(tissue, tmp_path / "run", **both))
    before = rows_of(alone.folder / "scores.csv")
    assert {row["data"] for row in before} == {"test"}
    told = []
    finished = distill(job(tissue, tmp_path / "run", shift=shift_of(slides), **both), notice=told.append)
    rows = rows_of(finished.folder / "scores.csv")
    assert [row for row in rows if row["data"] == "test"] == before
    there = [row for row in rows if row["data"] == "slides"]
    assert {(row["arm"], row["structure"]) for row in there} == {("baseline", "nucleus"), ("student", "nucleus")}
    assert len({row["field"] for row in there}) == 4
    assert {row["metric"] for row in there} >= {"dice", "ap50", "ece"}
    assert finished.verdict == alone.verdict
    page = finished.report.read_text(encoding="utf-8")
    assert 'id="shift"' in page
    assert "on 4 images as they are, on nucleus, 2 of them turned from dark on bright" in page
    assert sum("on slides …" in line for line in told) == 2
    distill(job(tissue, tmp_path / "run", shift=shift_of(slides), **both), notice=told.append)
    assert sum("on slides …" in line for line in told) == 2
    assert rows_of(finished.folder / "scores.csv") == rows
    kept = tmp_path / "run/arms/student/0/shift/slides.json"
    kept.write_text(kept.read_text().replace('"weights": "', '"weights": "0'))  # another student's
    distill(job(tissue, tmp_path / "run", shift=shift_of(slides), **both), notice=told.append)
    assert sum("on slides …" in line for line in told) == 3
    assert json.loads(kept.read_text())["records"]


def test_pictures_that_are_turned_round_score_as_if_they_had_never_been(tissue, slides, tmp_path):
    # Two of the four were made dark on bright: turned back, all four are what they were before, to rounding.
    plain = tmp_path / "plain"
    shutil.copytree(slides, plain)
    for path in sorted((plain / "images").iterdir())[:2]:
        tifffile.imwrite(path, 255 - tifffile.imread(path))
    both = {"label_sets": ("nucleus",), "baseline": False, **QUICK}
    shift = shift_of(slides) | {"plain": shift_of(plain, invert="none")["slides"]}
    rows = rows_of(distill(job(tissue, tmp_path / "run", shift=shift, **both)).folder / "scores.csv")
    one, two = ([row["value"] for row in rows if row["data"] == name] for name in ("slides", "plain"))
    assert one == two


def test_a_study_scores_every_student_and_may_be_asked_later(tissue, slides, tmp_path):
    blurred = {"teacher": "blurred:2", "channels": ()}
    usual = {"label_sets": ("nucleus",), "labels": (2,), "seeds": (0, 1), "teachers": {"full": blurred}}
    rivals = (*ARMS, {"name": "dropout", "dropped_channels": ("membrane",)})
    first = plan(tissue, tmp_path / "s", arms=rivals, **usual)
    conclude_study(first, study(first))
    # Labels without numbers say where nuclei are, not which is which: only areas can be scored.
    areas = tmp_path / "areas"
    shutil.copytree(slides, areas)
    for path in (areas / "labels").iterdir():
        tifffile.imwrite(path, (tifffile.imread(path) > 0).astype(np.uint8))
    shift = shift_of(areas, label_kind="binary")
    asked = plan(tissue, tmp_path / "s", arms=rivals, shift=shift, **usual)
    account = conclude_study(asked, study(asked))
    done = account.students["unet-tiny"]
    there = [row for row in rows_of(done.folder / "scores.csv") if row["data"] == "slides"]
    assert {(row["arm"], row["seed"]) for row in there} == {
        (f"{arm}-2", seed) for arm in ("baseline", "student", "dropout") for seed in "01"
    }
    assert "ap50" not in {row["metric"] for row in there}
    assert "dice" in {row["metric"] for row in there}
    assert 'href="#shift"' in done.report.read_text(encoding="utf-8")
    for row in rows_of(account.summary):
        own = [float(each["value"]) for each in there if (each["arm"], each["metric"]) == (row["arm"], "dice")]
        assert row["dice on slides"] == "" if not own else float(row["dice on slides"]) == pytest.approx(np.mean(own))


def test_a_private_run_hides_where_the_other_data_are(tissue, slides, tmp_path):
    secret = tmp_path / "Kowalska"
    shutil.copytree(slides, secret)
    usual = {"label_sets": ("nucleus",), "baseline": False, "private": True, **QUICK}
    settings = job(tissue, tmp_path / "run", shift=shift_of(secret), **usual)
    distill(settings)
    names = ["Kowalska", *(path.stem for path in (secret / "images").iterdir())]
    files = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    for name in names:
        assert [str(path) for path in files if name.encode() in path.read_bytes()] == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"structure": "nuclei"}, r"slides labels nuclei, but students segment nucleus: there is nothing to score"),
        ({"student_channels": ("luma", "luma")}, r"names 2 channels \(luma, luma\), but students see 1 \(nucleus\)"),
        ({"part": "test"}, "No image of slides in its part 'test' is labelled with nucleus"),
    ],
)
def test_what_cannot_be_scored_is_refused_before_anything_is_trained(tissue, slides, tmp_path, changes, message):
    with pytest.raises(ConfigError, match=message):
        distill(job(tissue, tmp_path / "run", label_sets=("nucleus",), shift=shift_of(slides, **changes)))
    assert not (tmp_path / "run/arms").exists()


def test_a_channel_that_is_not_there_is_named(tissue, slides, tmp_path):
    with pytest.raises(DataError, match="has no channel 'nucleus'"):
        distill(job(tissue, tmp_path, label_sets=("nucleus",), shift=shift_of(slides, student_channels=None)))


def test_images_that_students_were_trained_on_are_refused(tissue, tmp_path):
    again = {"again": {"data": tissue, "label_kind": "instances"}}
    with pytest.raises(ConfigError, match="6 images of again are among those that students are trained or chosen on"):
        distill(job(tissue, tmp_path, shift=again))
    with pytest.raises(ConfigError, match=r"'\.\./x' has others"):
        job(tissue, tmp_path, shift={"../x": again["again"]})
    with pytest.raises(ConfigError, match="called test, as the run's own test fields are"):
        job(tissue, tmp_path, shift={"test": again["again"]})


def marks_of(folder):
    return [image_sha256(case)[:HASH_DIGITS] for case in read_dataset(folder, label_kind="instances").cases]


def save(folder, marks):
    """Keep a model of nuclei that learnt from images with these hashes."""
    card = ModelCard(
        architecture="unet-tiny",
        channels=("nucleus",),
        normalisation=rule_to_json(RULE),
        structures=(Structure("nucleus", instances=True),),
        crop=32,
        thresholds={},
        labels_used=len(marks),
        learnt_from=tuple(marks),
    )
    save_model(folder, Model(build_student("unet-tiny", channels=1, outputs=len(card.outputs)), card))
    return folder


def save_encoder_alone(folder, **seen):
    network = build_student("unet-tiny", channels=1, outputs=1)
    usual = {"architecture": "unet-tiny", "channels": ("nucleus",), "normalisation": rule_to_json(RULE)}
    save_encoder(folder, network.encoder, EncoderCard(**usual, how="made up", **seen))
    return folder


def begun_with(what, made, marks):
    """What a run is asked for, that owes to something which had seen images with these hashes; and who that is."""
    if what == "teacher":
        name = f"model:{save(made, marks)}"
        return {"teacher": name, "teacher_channels": ("nucleus",)}, f"the teacher {name}"
    if what == "start":
        return {"start": save(made, marks), **QUICK}, f"the model {made} that students begin with"
    protocol = {"steps": 2, "batch_size": 2, "crop": 32, "validations": 1}
    protocol |= {"encoder_weights": save_encoder_alone(made, **{what: tuple(marks)})}
    return {"protocol": protocol, **QUICK}, f"the encoder {made} that students begin with"


@pytest.mark.parametrize("what", ["teacher", "start", "images", "labelled"])
def test_what_students_owe_to_had_not_seen_the_other_data(what, tissue, slides, tmp_path):
    changes, who = begun_with(what, tmp_path / "made", marks_of(slides)[:3])
    usual = {"label_sets": ("nucleus",), "baseline": False, **changes}
    with pytest.raises(ConfigError, match=f"3 images of slides had been seen by {who}.*would flatter"):
        distill(job(tissue, tmp_path / "run", shift=shift_of(slides), **usual))
    assert not (tmp_path / "run/arms").exists()
    if what == "teacher":
        changes, _ = begun_with(what, tmp_path / "made", ["0" * HASH_DIGITS])  # it had seen others
        distill(job(tissue, tmp_path / "run", shift=shift_of(slides), **usual | changes))


@pytest.mark.parametrize("what", ["teacher", "encoder"])
def test_a_study_refuses_it_for_the_sake_of_any_arm(what, tissue, slides, tmp_path):
    marks, usual = marks_of(slides), {"label_sets": ("nucleus",), "labels": (2,)}
    if what == "teacher":
        usual["teachers"] = {"full": {"teacher": f"model:{save(tmp_path / 'm', marks)}", "channels": ("nucleus",)}}
    else:
        folder = save_encoder_alone(tmp_path / "e", images=tuple(marks))
        usual["arms"], usual["teachers"] = ({"name": "a"}, {"name": "b", "encoder_weights": folder}), {}
    with pytest.raises(ConfigError, match="4 images of slides had been seen by"):
        study(plan(tissue, tmp_path / "s", shift=shift_of(slides), **usual))


def test_training_images_that_a_model_drew_from_the_other_data_are_refused(tissue, slides, tmp_path):
    drawn = tmp_path / "drawn"
    shutil.copytree(tissue, drawn)
    numbers = {"channels": ("nucleus",), "side": 32, "width": 4, "blocks": 1, "pixel_size": None, "normalisation": {}}
    images = {"images": tuple(image_sha256(case) for case in read_dataset(slides, label_kind="instances").cases)}
    card = SynthesisCard(**numbers, numbers=(), how="made up", **images, pixels=())
    (drawn / SYNTHESIS_CARD).write_text(card.model_dump_json(), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"fitted on 4 of the images of slides.*take them out of slides"):
        distill(job(drawn, tmp_path / "run", label_sets=("nucleus",), shift=shift_of(slides), **QUICK))
