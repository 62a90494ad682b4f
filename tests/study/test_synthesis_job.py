"""`synthesize` from end to end: killed it goes on to the same files, nothing held out is seen, nothing is lost."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
import tifffile
import torch

from segdistill.data.datasets import read_dataset
from segdistill.data.readers import read_image
from segdistill.data.simulate import TissueSettings, write_tissue
from segdistill.engine import read_log
from segdistill.errors import ConfigError, MissingExtra, TrainingStopped
from segdistill.files import sha256_file
from segdistill.settings import Pretrain, Synthesize, validated
from segdistill.study import pretrain, synthesize
from segdistill.study.preparation import prepare
from segdistill.training.pretraining import PretrainingProblem

STEPS, IMAGES = 6, 7

DYING = """
import os, signal, sys
from segdistill import cli
from segdistill.training.pretraining import PretrainingProblem
from segdistill.synthesis import drawing
collate, write = PretrainingProblem.collate, drawing.write_image
def in_a_step(self, samples, step, device):
    if step == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return collate(self, samples, step, device)
def in_a_batch(path, image):
    if path.name == "drawn_000004.ome.tif":
        os.kill(os.getpid(), signal.SIGKILL)
    write(path, image)
if sys.argv.pop(1) == "fitting":
    PretrainingProblem.collate = in_a_step
else:
    drawing.write_image = in_a_batch
cli.main(sys.argv[1:])
"""


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Bits are equal for equal numbers of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def fields(tmp_path_factory):
    """Twelve small simulated fields; nothing writes to them."""
    folder = tmp_path_factory.mktemp("fields")
    write_tissue(folder, count=12, seed=5, settings=TissueSettings(height=48, width=64))
    return folder


USUAL = {
    "label_sets": ("cell",),
    "label_kind": "instances",
    "split": (0.5, 0.25, 0.25),
    "images": IMAGES,
    "size": 32,
    "held_back": 0.4,
    "network": {"width": 8, "blocks": 1},
    "protocol": {"steps": STEPS, "batch_size": 2},
    "sampling": {"steps": 2, "batch_size": 3},
    "device": "cpu",
}


def settings_of(fields, out, **changes):
    return validated(Synthesize, {"data": fields, "out": out, **USUAL, **changes})


@pytest.fixture(scope="module")
def whole(fields, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "out"
    return synthesize(settings_of(fields, out))


def files_of(folder):
    """Return every file whose bytes shall not depend on an interruption."""
    places = [
        *folder.glob("*.csv"),
        folder / "denoiser.safetensors",
        *folder.glob("images/*"),
        *folder.glob("dropped/*"),
    ]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(places)}


def words(fields, out):
    given = ["--data", fields, "--out", out, "--label-sets", "cell", "--label-kind", "instances"]
    given += ["--split", 0.5, 0.25, 0.25, "--images", IMAGES, "--size", 32, "--held-back", 0.4, "--device", "cpu"]
    given += ["--network.width", 8, "--network.blocks", 1, "--protocol.steps", STEPS, "--protocol.batch-size", 2]
    return [str(word) for word in ["synthesize", *given, "--sampling.steps", 2, "--sampling.batch-size", 3]]


@pytest.mark.parametrize("when", ["fitting", "drawing"])
def test_killed_it_goes_on_and_ends_with_the_same_files(when, fields, whole, tmp_path):
    killed = tmp_path / "killed"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", DYING, when, *words(fields, killed)]
    assert subprocess.run(command, check=False, env=environment).returncode == -signal.SIGKILL
    assert (killed / "synthesis.json").exists() == (when == "drawing")
    assert len(list(killed.glob("drawn/*.tif"))) == (4 if when == "drawing" else 0)
    assert not (killed / "images").exists()  # nothing that nobody has judged lies where training would look
    told = []
    again = synthesize(settings_of(fields, killed), notice=told.append)
    if when == "fitting":
        assert any(f"going on after step 4 of {STEPS}" in line for line in told)
    else:
        assert any(line.startswith("3 of 3 images drawn") for line in told)
    assert files_of(killed) == files_of(whole.folder)
    assert again.sentences == whole.sentences
    told.clear()
    assert synthesize(settings_of(fields, killed), notice=told.append) == again  # done before: nothing is done
    assert told == []


def test_only_training_images_enter_and_the_card_says_which(fields, whole):
    prepared = prepare(settings_of(fields, whole.folder), notice=lambda _: None, tested=False)
    files = {case.name: sha256_file(case.image) for case in prepared.dataset.cases}
    training = {files[name] for name in prepared.split["train"]}
    used, held_back = set(whole.card.images), set(whole.card.held_back)
    assert used | held_back == training
    assert not used & held_back
    assert len(training) == 6
    assert len(held_back) == 2
    assert not (used | held_back) & {files[name] for part in ("validation", "test") for name in prepared.split[part]}


def test_what_it_draws_is_a_data_set_like_the_data(fields, whole):
    real = read_image(next((fields / "images").iterdir()))
    kept = sorted((whole.folder / "images").iterdir())
    assert len(kept) == whole.kept
    for path in kept:
        image = read_image(path)
        assert image.array.shape == (2, 32, 32)
        assert (image.channels, image.array.dtype) == (real.channels, real.array.dtype)
    with (whole.folder / "drawn.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == [f"drawn_{number:06d}.ome.tif" for number in range(IMAGES)]
    assert {row["file"] for row in rows if row["kept"] == "yes"} == {path.name for path in kept}


def test_its_page_shows_everything_and_needs_nothing(whole):
    page = whole.page.read_text(encoding="utf-8")
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
    assert page.count("<img") >= whole.kept + IMAGES
    assert "Real and drawn" in page
    assert "Too few real images are held back" in page  # two


def pretraining(fields, out, **changes):
    usual = {"how": "masked", "student_channels": ("nucleus",), "protocol": {"steps": 2, "batch_size": 2, "crop": 32}}
    data = {name: USUAL[name] for name in ("label_sets", "label_kind", "split", "device")}
    return validated(Pretrain, {"data": fields, "out": out, **data, **usual, **changes})


def test_pretraining_learns_from_what_is_drawn_and_remembers_what_is_behind_it(fields, whole, tmp_path):
    made = pretrain(pretraining(fields, tmp_path / "encoder", transfer=whole.folder))
    assert f"6 images of the data and {whole.kept} further ones" in made.card.how
    assert set(whole.card.images) <= set(made.card.images)
    assert (made.card.labels_used, made.card.labelled) == (0, ())  # it was told no labels


@pytest.mark.parametrize("copied", [False, True])
def test_a_model_that_saw_what_is_scored_on_is_refused_by_content(copied, fields, whole, tmp_path):
    data = fields
    if copied:  # the same pixels in other files
        data = tmp_path / "copied"
        shutil.copytree(fields, data)
        for path in (data / "images").iterdir():
            names = ["nucleus", "membrane"]
            metadata = {"axes": "CYX", "Channel": {"Name": names}, "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
            tifffile.imwrite(path, tifffile.imread(path), metadata=metadata, ome=True, compression=None)
    with pytest.raises(ConfigError, match=r"drawn by a model that was fitted on \d of the validation and test images"):
        pretrain(pretraining(data, tmp_path / "out", transfer=whole.folder, split_seed=3))
    assert not (tmp_path / "out" / "fit").exists()


def test_drawn_images_among_the_data_itself_are_refused_likewise(fields, whole, tmp_path):
    manifest = tmp_path / "all.csv"
    rows = [("image", "label:cell", "split")]
    for number, path in enumerate(sorted((fields / "images").iterdir())):
        label = fields / "labels" / "cell" / path.name.replace(".ome", "")
        rows.append((path, label, "test" if number < 6 else "train"))
    rows += [(path, "", "train") for path in sorted((whole.folder / "images").iterdir())]
    with manifest.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    with pytest.raises(ConfigError, match=r"The images in .* were drawn by a model that was fitted on \d of the"):
        prepare(pretraining(manifest, tmp_path / "out", split=(0.75, 0.0, 0.25)), notice=lambda _: None)


def test_training_images_that_are_test_images_too_are_refused_by_content(fields, tmp_path):
    data = tmp_path / "data"
    for part in ("train", "test"):
        for kind in ("images", "labels/cell"):
            (data / kind / part).mkdir(parents=True)
    for number, path in enumerate(sorted((fields / "images").iterdir())[:6]):
        label = fields / "labels" / "cell" / path.name.replace(".ome", "")
        for part in ("train", "test") if number == 2 else ("train" if number < 4 else "test",):
            shutil.copy(path, data / "images" / part)
            shutil.copy(label, data / "labels" / "cell" / part)
    with pytest.raises(ConfigError, match=r"1 training images are validation or test images, too, by their content"):
        synthesize(settings_of(data, tmp_path / "out", split=(0.75, 0.0, 0.25)))
    assert not (tmp_path / "out" / "fit").exists()


def test_copies_and_doubtful_ones_are_set_aside_with_a_reason(fields, tmp_path):
    judged = {"teacher": "sam-tiny-tissue", "teacher_channels": ("nucleus", "membrane"), "least_certain": 0.3}
    made = synthesize(settings_of(fields, tmp_path / "out", copies=1.0, **judged))
    with (made.folder / "dropped.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["file"] for row in rows} == {path.name for path in (made.folder / "dropped").iterdir()}
    assert len(rows) == IMAGES - made.kept >= 2  # 0.3 · 7 images are doubted; some may be copies, too
    assert all(row["reason"].startswith(("nearly a copy", "among those of which")) for row in rows)
    assert all(0 <= float(row["certainty"]) <= 1 for row in rows)
    asked = [json.loads(line) for line in (made.folder / "certainty.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["number"] for line in asked] == list(range(IMAGES))


def test_with_enough_held_back_the_distance_is_told(fields, tmp_path):
    usual = {"split": (1.0, 0.0, 0.0), "held_back": 0.5, "sampling": {"steps": 2, "batch_size": 8}}
    made = synthesize(settings_of(fields, tmp_path / "out", **usual))
    told = json.loads((made.folder / "account.json").read_text(encoding="utf-8"))["frechet"]
    assert told["images"] == 6
    assert told["axes"] == 3
    assert 0 < told["real"]["mean"] < told["drawn"]["mean"]  # a model of six steps draws noise
    assert any(sentence.startswith("Fréchet distance to 6 real images") for sentence in made.sentences)


def test_what_is_drawn_for_masks_has_them_as_labels(fields, tmp_path):
    drawn_for = {"given_masks": True, "protocol": {"steps": 2, "batch_size": 2, "turns": True}, "copies": 0.0}
    made = synthesize(settings_of(fields, tmp_path / "out", shown="parts", **drawn_for))
    assert made.card.outputs == ("cell", "cell.boundary")
    assert made.card.pixel_size == 0.5
    with (made.folder / "masks.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == IMAGES == made.kept
    for row in rows:
        name = row["file"].replace(".ome", "")
        own = tifffile.imread(made.folder / "labels" / "cell" / name)
        source = tifffile.imread(fields / "labels" / "cell" / f"{row['masks of']}.tif")
        top, left = int(row["first row"]), int(row["first column"])
        cut = source[top : top + 32, left : left + 32]
        mirrored = cut[:, ::-1] if row["mirrored"] == "yes" else cut
        assert np.array_equal(own, np.rot90(mirrored, int(row["quarter turns"])))
    assert len({(row["masks of"], row["first row"], row["mirrored"], row["quarter turns"]) for row in rows}) > 3
    learnt = read_dataset(made.folder, label_kind="instances")
    assert [structure.name for structure in learnt.structures] == ["cell"]
    assert all(case.labels for case in learnt.cases)
    assert set(made.card.labelled) == set(made.card.images)
    encoder = pretrain(pretraining(fields, tmp_path / "encoder", transfer=made.folder)).card
    assert (encoder.labels_used, set(encoder.labelled)) == (len(made.card.labelled), set(made.card.labelled))


def test_without_labels_there_are_no_masks_to_draw_for(fields, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(fields / "images", data / "images")
    with pytest.raises(ConfigError, match=r"none of the \d+ training images is labelled"):
        synthesize(settings_of(data, tmp_path / "out", given_masks=True, label_sets=None, label_kind=None))


def test_a_loss_that_is_not_finite_stops_with_the_last_good_weights(fields, tmp_path, monkeypatch):
    collate, seen = PretrainingProblem.collate, []

    def broken(self, samples, step, device):
        batch = collate(self, samples, step, device)
        seen.append(step)
        if step >= 2:
            batch.velocity.fill_(torch.nan)
        return batch

    monkeypatch.setattr(PretrainingProblem, "collate", broken)
    with pytest.raises(TrainingStopped, match="after step 2"):
        synthesize(settings_of(fields, tmp_path / "out"))
    assert (tmp_path / "out" / "fit" / "newest.ckpt").exists()
    assert not (tmp_path / "out" / "synthesis.json").exists()
    assert read_log(tmp_path / "out" / "fit")[0]["step"] == 1


def test_colour_and_grey_pictures_share_only_their_brightness(tmp_path):
    import PIL.Image

    (tmp_path / "data" / "images").mkdir(parents=True)
    draw = np.random.default_rng(0)
    for number in range(4):
        pixels = draw.integers(0, 256, (40, 56, 3) if number == 1 else (40, 56)).astype(np.uint8)
        PIL.Image.fromarray(pixels).save(tmp_path / "data" / "images" / f"{number}.png")
    plain = {"label_sets": None, "label_kind": None, "held_back": 0}
    with pytest.raises(ConfigError, match=r"different channels .*--image-channels"):
        synthesize(settings_of(tmp_path / "data", tmp_path / "a", **plain))
    told = []
    made = synthesize(
        settings_of(tmp_path / "data", tmp_path / "b", image_channels=("luma",), **plain), notice=told.append
    )
    assert any("all of its 4 images are taken for training images" in line for line in told)
    assert any(line.startswith("Plan: fit a network of") for line in told)
    assert made.card.channels == ("luma",)
    assert made.card.normalisation["rule"] == "full-range"
    image = read_image(next((made.folder / "images").iterdir()))
    assert (image.channels, image.array.dtype) == (("luma",), np.uint8)


def test_without_the_extra_nothing_is_begun(fields, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(MissingExtra, match=r"segdistill\[diffusion\]"):
        synthesize(settings_of(fields, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_teachers_that_cannot_judge_are_refused(fields, tmp_path):
    oracle = {"teacher": "blurred:2", "teacher_channels": ("nucleus",)}
    with pytest.raises(ConfigError, match="cannot judge drawn images: it needs labels"):
        synthesize(settings_of(fields, tmp_path / "out", **oracle))
