"""Private evaluations, targets and checks: no file that they leave names a patient, a file or the data's folder."""

import csv
import shutil

import numpy as np
import pytest
import tifffile
import torch
from tests.naming import naming as files_naming

from segdistill.data.labels import Structure
from segdistill.data.simulate import TissueSettings, write_tissue
from segdistill.files import sha256_file
from segdistill.networks import Model, ModelCard, build_student, save_model

NAME = "Kowalska"


@pytest.fixture(scope="module")
def clinic(tmp_path_factory):
    """Six fields in a folder, and of a name, that nobody else may learn; one image is damaged."""
    made = tmp_path_factory.mktemp("made")
    write_tissue(made, count=6, seed=5, settings=TissueSettings(height=48, width=64))
    folder = tmp_path_factory.mktemp(f"{NAME}_clinic")
    for number, image in enumerate(sorted((made / "images").iterdir())):
        patient = f"{NAME} {number // 2}/{NAME}{number}"
        for kind, file in (("images", image), ("labels", made / "labels/cell" / image.name.replace(".ome", ""))):
            own = folder / kind / f"{patient}{'.ome' * (kind == 'images')}.tif"
            own.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, own)
    (folder / f"images/{NAME} 2/{NAME}5.ome.tif").write_bytes(b"torn")
    return folder


def naming(folder, word=NAME):
    """Return the files below a folder whose path or content has a word."""
    return files_naming(folder, word)


# evaluate


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def test_scores_name_no_field_and_no_group(run, clinic, tmp_path):
    labels = clinic / "labels"
    fields = [path.relative_to(labels).with_suffix("").as_posix() for path in sorted(labels.rglob("*.tif"))]
    groups = tmp_path / "groups.csv"
    groups.write_text("field,group\n" + "".join(f"{name},{name.split('/')[0]}\n" for name in fields))
    out = tmp_path / "out"
    out.mkdir()
    done = run(
        "evaluate", labels, labels, "--label-kind", "instances", "--groups", groups, "--private", "--out", out / "s.csv"
    )
    assert done.status == 0
    assert naming(out) == []
    rows = rows_of(out / "s.csv")
    wanted = {f"label-{sha256_file(labels / f'{name}.tif')[:10]}" for name in fields}
    assert {row["field"] for row in rows} == wanted
    assert len({row["group"] for row in rows}) == 3
    assert all(row["group"].startswith("group-") for row in rows)
    assert run("evaluate", labels, labels, "--label-kind", "instances", "--out", out / "open.csv").status == 0
    assert naming(out) == [str(out / "open.csv")]


def test_pseudonyms_are_those_of_the_images_where_they_are_named(run, clinic, tmp_path):
    labels, images = clinic / "labels", clinic / "images"
    done = run(
        "evaluate", labels, labels, "--images", images, "--label-kind", "instances", "--private",
        "--out", tmp_path / "s.csv",
    )  # fmt: skip
    assert done.status == 0
    found = {row["field"] for row in rows_of(tmp_path / "s.csv")}
    assert found == {f"image-{sha256_file(path)[:10]}" for path in images.rglob("*.tif")}


def test_reasons_and_fields_without_scores_name_no_file_either(run, clinic, tmp_path):
    shutil.copytree(clinic / "labels", tmp_path / "lab")
    shutil.copytree(clinic / "labels", tmp_path / "pred")
    (tmp_path / f"pred/{NAME} 0/{NAME}0.tif").write_bytes(b"torn")
    (tmp_path / f"lab/{NAME} 1/{NAME}2.tif").write_bytes(b"torn")
    (tmp_path / "out").mkdir()
    done = run(
        "evaluate", tmp_path / "pred", tmp_path / "lab", "--label-kind", "instances", "--private",
        "--out", tmp_path / "out/s.csv",
    )  # fmt: skip
    assert done.status == 1
    assert f"{NAME}0.tif" in done.out  # who runs it is told
    assert f"{NAME}2.tif" in done.out
    assert naming(tmp_path / "out") == []
    told = {row["field"]: row["reason"] for row in rows_of(tmp_path / "out/s.csv") if row["reason"]}
    hidden = "cannot be used; the reason, which names its file, was told when it was scored"
    labels = (tmp_path / f"lab/{NAME} 0/{NAME}0.tif", tmp_path / f"lab/{NAME} 1/{NAME}2.tif")
    assert told == {f"label-{sha256_file(path)[:10]}": hidden for path in labels}


def test_equal_labels_are_numbered_and_one_field_has_one_pseudonym_in_every_structure(run, tmp_path):
    for structure in ("cell", "nucleus"):
        for name in (f"{NAME}1", f"{NAME}2"):
            path = tmp_path / f"in/{structure}/{name}.tif"
            path.parent.mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(path, np.zeros((6, 9), np.uint8))
    place = tmp_path / "in"
    done = run(
        "evaluate", place, place, "--structures", "cell", "nucleus", "--private", "--out", tmp_path / "s.csv",
        "--label-kind", "binary",
    )  # fmt: skip
    assert done.status == 0
    digits = sha256_file(place / f"cell/{NAME}1.tif")[:10]
    assert {row["field"] for row in rows_of(tmp_path / "s.csv")} == {f"label-{digits}", f"label-{digits}-2"}
    assert naming(tmp_path) == [str(path) for path in sorted(place.rglob("*.tif"))]


def test_without_a_file_or_without_a_file_of_its_own_it_is_refused(run, clinic, tmp_path):
    labels = clinic / "labels"
    assert (
        "private is about the file of scores, but none is written" in run("evaluate", labels, labels, "--private").err
    )
    coco = tmp_path / "labels.json"
    coco.write_text(
        '{"images": [{"id": 1, "file_name": "A.png", "height": 6, "width": 9}],'
        ' "categories": [{"id": 1, "name": "cell"}], "annotations": []}'
    )
    done = run("evaluate", coco, coco, "--private", "--out", tmp_path / "s.csv")
    assert "1 labels lie in a COCO file and have none of their own: A. Name the folder of their images" in done.err
    assert not (tmp_path / "s.csv").exists()


# targets


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """A small network."""
    torch.manual_seed(0)
    card = ModelCard(
        architecture="unet-tiny",
        channels=("nucleus", "membrane"),
        normalisation={"rule": "full-range"},
        structures=(Structure("cell", True),),
        crop=64,
        labels_used=5,
        licences=("MIT",),
        pixel_size=None,
    )
    folder = tmp_path_factory.mktemp("teacher") / "model"
    save_model(folder, Model(build_student("unet-tiny", channels=2, outputs=2), card))
    return f"model:{folder}"


# predict


def test_masks_and_all_that_is_beside_them_name_no_image(run, clinic, teacher, tmp_path):
    out = tmp_path / "masks"
    words = ("predict", "--model", teacher.removeprefix("model:"), "--images", clinic / "images", "--out", out)
    words = (*words, "--outputs", "labels", "zarr", "geojson", "rois", "table", "png", "nifti", "--probabilities")
    done = run(*words, "--private", "--pixel-size", "ignore")
    assert done.status == 1  # one image is torn
    assert naming(out) == []
    assert naming(out, clinic.name) == []
    images = sorted((clinic / "images").rglob("*.tif"))
    names = {f"image-{sha256_file(image)[:10]}" for image in images}
    torn = f"image-{sha256_file(clinic / f'images/{NAME} 2/{NAME}5.ome.tif')[:10]}"
    assert {path.stem for path in out.glob("image-*.tif") if ".probabilities" not in path.name} == names - {torn}
    assert rows_of(out / "failed.csv") == [
        {"image": torn, "reason": "could not be segmented; the reason, which names its file, was told when it ran"}
    ]
    assert f"{NAME}5.ome.tif" in done.err
    again = run(*words, "--private", "--pixel-size", "ignore")
    assert "5 done before" in again.err
    assert naming(out) == []


def test_what_must_name_a_patient_is_refused_and_folders_are_not_mixed(run, clinic, teacher, tmp_path):
    out = tmp_path / "masks"
    words = ("predict", "--model", teacher.removeprefix("model:"), "--images", clinic / "images", "--out", out)
    refused = run(*words, "--private", "--outputs", "dicom-seg")
    assert refused.status == 2
    assert "must carry the patient's name" in refused.err
    assert not out.exists()
    run(*words, "--pixel-size", "ignore")
    mixed = run(*words, "--pixel-size", "ignore", "--private")
    assert mixed.status == 2
    assert "private: False there, True here" in mixed.err


@pytest.fixture
def store(run, clinic, teacher):
    """Store targets of the clinic's images."""

    def call(out, *words):
        return run(
            "targets", "--data", clinic, "--out", out, "--teacher", teacher, "--teacher-channels", "nucleus",
            "membrane", "--label-kind", "instances", "--device", "cpu", *words,
        )  # fmt: skip

    return call


def test_a_store_names_no_image_goes_on_and_is_verified(store, clinic, tmp_path):
    done = store(tmp_path, "--private")
    assert done.status == 1
    assert "Described now: 5; there before: 0; failed: 1." in done.out
    assert naming(tmp_path) == []
    assert f"{NAME}5.ome.tif" in done.out + done.err  # who runs it is told
    (folder,) = tmp_path.iterdir()
    index = "".join(path.read_text() for path in folder.rglob("*.jsonl"))
    assert f"image-{sha256_file(clinic / f'images/{NAME} 0/{NAME}0.ome.tif')[:10]}" in index
    assert "there before: 5" in store(tmp_path, "--private").out
    assert "5 records, 0 damaged." in store(tmp_path, "--private", "--verify").out
    assert naming(tmp_path) == []


def test_a_store_that_names_images_cannot_become_private(store, tmp_path):
    store(tmp_path)
    assert naming(tmp_path)
    done = store(tmp_path, "--private")
    assert done.status == 2
    assert "names 6 images already, for it was filled without --private" in done.err


def test_a_teacher_that_looks_names_up_is_refused(run, clinic, tmp_path):
    done = run(
        "targets", "--data", clinic, "--out", tmp_path, "--teacher", "maps:there", "--teacher-channels", "nucleus",
        "--private",
    )  # fmt: skip
    assert done.status == 2
    assert "private hides the names by which maps:there finds its files" in done.err
    assert not any(tmp_path.iterdir())


# check


def test_a_page_names_no_image_no_group_and_no_fault(run, clinic, tmp_path):
    done = run("check", clinic, "--private", "--page", tmp_path / "check.html")
    assert done.status == 1
    assert naming(tmp_path) == []
    page = (tmp_path / "check.html").read_text(encoding="utf-8")
    assert f"image-{sha256_file(clinic / f'images/{NAME} 0/{NAME}0.ome.tif')[:10]}" in page
    assert "Fault 1, whose words name a file: they were told when the check ran." in page
    assert f"{NAME}5.ome.tif" in done.out + done.err  # who runs it is told
    assert run("check", clinic, "--page", tmp_path / "open.html").status == 1
    assert naming(tmp_path) == [str(tmp_path / "open.html")]


def test_pictures_that_seem_to_be_written_on_are_not_shown(run, tmp_path):
    for number in range(3):
        picture = np.random.default_rng(number).integers(0, 60, (80, 200)).astype(np.uint8)
        for left in range(10, 90, 10) if number == 1 else ():
            picture[10:20, left : left + 4] = 255
        picture[79, 199] = 255
        (tmp_path / "data/images").mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(tmp_path / f"data/images/{NAME}{number}.tif", picture)
    done = run("check", tmp_path / "data", "--private", "--page", tmp_path / "check.html")
    page = (tmp_path / "check.html").read_text(encoding="utf-8")
    assert NAME not in page
    assert page.count("<figure><img") == 2
    written = f"image-{sha256_file(tmp_path / f'data/images/{NAME}1.tif')[:10]}"
    assert f"1 images seem to be written on and are not shown, for it may be a name: {written}." in done.out
