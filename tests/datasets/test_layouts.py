"""Every data set as its authors lay it out, in miniature: from the layout through the manifest to samples."""

import csv
import json
import pickle
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from segdistill.data import read_dataset, read_sample, split_cases
from segdistill.datasets import ENTRIES, dataset_entry, fetch_dataset, write_manifests
from segdistill.datasets.bbbc038 import decoded, numbered
from segdistill.datasets.entry import Row
from segdistill.datasets.kidney_us import filled
from segdistill.datasets.manifests import write_manifest
from segdistill.datasets.npy_stream import images, table
from segdistill.errors import DataError, EnvironmentFault, UnknownName
from segdistill.fetch import Item

SIZE = (12, 17)


def picture(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def colours(seed: int = 0, alpha: bool = False) -> np.ndarray:
    pixels = np.random.default_rng(seed).integers(0, 255, (*SIZE, 4 if alpha else 3), np.uint8)
    if alpha:
        pixels[..., 3] = 255
    return pixels


def mask(rows: slice, columns: slice, value: int = 255) -> np.ndarray:
    pixels = np.zeros(SIZE, np.uint8)
    pixels[rows, columns] = value
    return pixels


def samples(manifest: Path, kind: str | None = "binary"):
    dataset = read_dataset(manifest, label_kind=kind)
    return dataset, {case.name: read_sample(case, dataset) for case in dataset.cases}


def everything(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# TissueNet


def tissuenet(folder: Path, split: str, count: int, *, meta: object = None) -> dict[str, np.ndarray]:
    drawn = np.random.default_rng(count)
    arrays = {
        "X": drawn.random((count, *SIZE, 2), dtype=np.float32),
        "y": drawn.integers(0, 5, (count, *SIZE, 2)).astype(np.int32),
    }
    folder.mkdir(parents=True, exist_ok=True)
    extra = {} if meta is None else {"meta": np.array(meta, dtype=object)}
    np.savez_compressed(folder / f"tissuenet_v1.1_{split}.npz", **arrays, **extra)
    return arrays


HEADS = ["filename", "experiment", "pixel_size"]


def test_tissuenet(tmp_path):
    source = tmp_path / "tissuenet_v1.1"
    made = tissuenet(source, "train", 2, meta=[HEADS, ["a.tif", "codex", 0.5], ["b.tif", "codex", 0.5]])
    tissuenet(source, "val", 4, meta=[HEADS, *[[f"{name}.tif", "mibi", size] for size in (0.5, 1.0) for name in "cd"]])
    tissuenet(source, "test", 1, meta=[HEADS, ["e.tif", "mibi", 0.5]])
    before = everything(source)
    (manifest,), prepared = write_manifests("tissuenet", source, tmp_path / "out")
    dataset, read = samples(manifest, "instances")
    assert [case.split for case in dataset.cases] == ["test", "train", "train", *["validation"] * 4]
    sample = read["train/0001"]
    assert sample.image.channels == ("nucleus", "membrane")
    assert np.array_equal(sample.image.array, np.moveaxis(made["X"][1], -1, 0))
    assert [structure.name for structure in dataset.structures] == ["cell", "nucleus"]
    assert np.array_equal(sample.planes, np.moveaxis(made["y"][1], -1, 0))  # y holds the whole cell first
    # The two resolutions of one image are one group, so they are not counted as two.
    groups = [case.group for case in dataset.cases if case.split == "validation"]
    assert groups == ["c.tif", "d.tif", "c.tif", "d.tif"]
    assert "twice" in prepared.notes[0]
    assert everything(source) == before


def test_tissuenet_without_a_table_of_origins_is_one_group_per_part(tmp_path):
    tissuenet(tmp_path / "in", "val", 3)
    (manifest,), prepared = write_manifests("tissuenet", tmp_path / "in", tmp_path / "out")
    assert {case.group for case in read_dataset(manifest, label_kind="instances").cases} == {"validation"}
    assert any("does not say which images were cut from one" in note for note in prepared.notes)


class Payload:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


def test_code_in_the_table_of_tissuenet_does_not_run(tmp_path):
    tissuenet(tmp_path / "in", "val", 1, meta=[HEADS, [Payload(tmp_path / "ran"), "x", 1]])
    with pytest.raises(DataError, match="refused and nothing was run"):
        write_manifests("tissuenet", tmp_path / "in", tmp_path / "out")
    assert not (tmp_path / "ran").exists()


def test_pickled_images_are_refused(tmp_path):
    (tmp_path / "in").mkdir()
    np.savez(tmp_path / "in" / "tissuenet_v1.1_val.npz", X=np.array([[[{}]]], dtype=object), y=np.zeros((1, 2, 2, 2)))
    with pytest.raises(DataError, match="pickled"):
        write_manifests("tissuenet", tmp_path / "in", tmp_path / "out")


def test_a_cut_archive_of_tissuenet_is_refused(tmp_path):
    tissuenet(tmp_path / "in", "val", 3)
    path = tmp_path / "in" / "tissuenet_v1.1_val.npz"
    path.write_bytes(path.read_bytes()[:2_000])
    with pytest.raises(DataError, match="damaged"):
        write_manifests("tissuenet", tmp_path / "in", tmp_path / "out")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 100_000), value=st.integers(0, 255))
def test_a_changed_byte_gives_a_table_or_a_refusal(place, value, tmp_path):
    tissuenet(tmp_path / "in", "val", 1, meta=[HEADS, ["c.tif", "mibi", 0.5]])
    path = tmp_path / "in" / "tissuenet_v1.1_val.npz"
    content = bytearray(path.read_bytes())
    content[place % len(content)] = value
    path.write_bytes(bytes(content))
    with suppress(DataError):
        table(path, "meta")
    with suppress(DataError):
        list(images(path, "X"))


# BBBC038


def test_bbbc038(tmp_path):
    source = tmp_path / "bbbc038"
    for name in ("aa", "bb"):
        picture(source / f"stage1_train/{name}/images/{name}.png", colours(alpha=True))
        picture(source / f"stage1_train/{name}/masks/1.png", mask(slice(0, 3), slice(0, 3)))
        picture(source / f"stage1_train/{name}/masks/2.png", mask(slice(5, 9), slice(5, 9)))
    picture(source / "stage1_test/cc/images/cc.png", colours(alpha=True))
    picture(source / "stage1_test/dd/images/dd.png", colours(alpha=True))
    lines = ["cc,1 2 13 2,12,17,Public", "cc,30 3,12,17,Public", "dd,1 1,12,17,Ignored"]
    (source / "stage1_solution.csv").write_text("\n".join(["ImageId,EncodedPixels,Height,Width,Usage", *lines]))
    (manifest,), prepared = write_manifests("bbbc038", source, tmp_path / "out")
    dataset, read = samples(manifest, "instances")
    assert {case.name: case.split for case in dataset.cases} == {"aa": None, "bb": None, "cc": "test"}
    assert read["aa"].image.channels == ("red", "green", "blue")
    expected = np.zeros(SIZE, np.int32)
    expected[0:3, 0:3], expected[5:9, 5:9] = 1, 2
    assert np.array_equal(read["aa"].planes[0], expected)
    # Runs go down the columns of 12 pixels from 1: pixels 1, 2 and 13, 14 are rows 0 and 1 of columns 0 and 1;
    # 30 to 32 are rows 5 to 7 of column 2.
    expected = np.zeros(SIZE, np.int32)
    expected[0:2, 0:2], expected[5:8, 2] = 1, 2
    assert np.array_equal(read["cc"].planes[0], expected)
    assert any("--split 0.8 0.2 0" in note for note in prepared.notes)
    parts = split_cases(dataset.cases, fractions=(0.5, 0.5, 0.0), seed=0)
    assert [case.name for case in parts["test"]] == ["cc"]


def test_the_later_of_two_overlapping_nuclei_has_the_pixels():
    labels = numbered([mask(slice(0, 4), slice(0, 4)), mask(slice(2, 6), slice(0, 4))])
    assert (labels[1, 0], labels[3, 0], labels[5, 0]) == (1, 2, 2)


@pytest.mark.parametrize("text", ["1", "1 x", "0 1", "200 9", "1 0"])
def test_runs_that_are_none_are_refused(text):
    with pytest.raises(DataError, match="a table"):
        decoded(text, SIZE, source="a table")


def test_masks_of_two_sizes_are_refused():
    with pytest.raises(DataError, match="sizes"):
        numbered([np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8)])


# KidneyUS


def kidney(folder: Path, rows: list[tuple[str, dict, dict]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    columns = ["filename", "file_size", "file_attributes", "region_count", "region_id", "region_shape_attributes"]
    with (folder / "reviewed_labels_1.csv").open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow([*columns, "region_attributes"])
        for name, shape, region in rows:
            writer.writerow([name, 1, json.dumps({"Quality": "Good"}), 1, 0, json.dumps(shape), json.dumps(region)])


def box(top: int, left: int, bottom: int, right: int) -> dict:
    return {
        "name": "polygon",
        "all_points_x": [left, right, right, left],
        "all_points_y": [top, top, bottom, bottom],
    }


def test_kidney_us(tmp_path):
    source = tmp_path / "kidneyUS"
    first, second, third = "130_IM-0650-0033_anon.png", "130_IM-0650-0053_anon.png", "7_IM-0001-0001_anon.png"
    for name in (first, second):
        picture(source / "images" / name, colours())
    picture(source / "labels/reviewed_masks_1/capsule" / first, mask(slice(0, 2), slice(0, 2), 1))
    kidney(
        source / "labels",
        [
            (first, box(2, 3, 9, 12), {"Anatomy": "Capsule"}),
            (first, box(3, 4, 5, 6), {"Anatomy": "Cortex"}),
            (first, box(6, 7, 8, 9), {"Anatomy": "Cortex"}),
            (second, box(1, 1, 5, 5), {"Anatomy": "Central Echo Complex"}),
            (second, {}, {}),
            (third, box(1, 1, 5, 5), {"Anatomy": "Medulla"}),
        ],
    )
    (manifest,), prepared = write_manifests("kidney-us", source, tmp_path / "out")
    dataset, read = samples(manifest)
    assert [case.group for case in dataset.cases] == ["patient-130", "patient-130"]  # two images of one patient
    names = [structure.name for structure in dataset.structures]
    assert set(names) == {"capsule", "cortex", "central_echo_complex"}
    planes = dict(zip(names, read[first.removesuffix(".png")].planes, strict=True))
    known = dict(zip(names, read[first.removesuffix(".png")].known, strict=True))
    assert planes["capsule"].sum() == 8 * 10  # rows 2 to 9 and columns 3 to 12, edges included
    assert planes["cortex"][4, 5]
    assert planes["cortex"][7, 8]
    assert not planes["cortex"][1, 1]
    assert not known["central_echo_complex"]
    assert prepared.notes == ("1 of the images that reviewed_labels_1.csv names are not here.",)


def test_polygons_are_filled_in_the_image_and_cut_at_its_edge():
    filled_mask = filled([np.array([[-5.0, -5.0], [-5.0, 3.5], [4.5, 3.5], [4.5, -5.0]])], SIZE)
    assert filled_mask[:5, :4].all()
    assert filled_mask.sum() == 20


def test_kidney_us_without_its_images_says_how_to_get_them(tmp_path):
    kidney(tmp_path / "in", [("a.png", box(1, 1, 3, 3), {"Anatomy": "Capsule"})])
    with pytest.raises(DataError, match="Register for them"):
        write_manifests("kidney-us", tmp_path / "in", tmp_path / "out")


# PH2, DRIVE, Autooral, ISIC: nothing is converted


def test_ph2(tmp_path):
    for name in ("IMD002", "IMD003", "IMD004"):
        case = tmp_path / "PH2Dataset" / "PH2 Dataset images" / name
        picture(case / f"{name}_Dermoscopic_Image" / f"{name}.bmp", colours())
        if name != "IMD004":
            lesion = Image.fromarray(mask(slice(2, 7), slice(3, 8))).convert("1")  # bitmaps of one bit
            (case / f"{name}_lesion").mkdir()
            lesion.save(case / f"{name}_lesion" / f"{name}_lesion.bmp")
    (manifest,), prepared = write_manifests("ph2", tmp_path / "PH2Dataset", tmp_path / "out")
    dataset, read = samples(manifest, None)
    assert list(read) == ["IMD002", "IMD003"]
    assert read["IMD002"].planes.sum() == 25
    assert dataset.structures[0].name == "lesion"
    assert everything(tmp_path / "out").keys() == {"manifest.csv"}
    assert "IMD004" in prepared.notes[0]


def test_drive(tmp_path):
    source = tmp_path / "DRIVE"
    for part, number, labelled in (
        ("training", 21, True),
        ("training", 22, True),
        ("test", 1, False),
        ("test", 2, True),
    ):
        name = f"{number:02d}_{part}"
        picture(source / part / "images" / f"{name}.tif", colours())
        picture(source / part / "mask" / f"{name}_mask.gif", mask(slice(0, 10), slice(0, 17)))
        if labelled:
            picture(source / part / "1st_manual" / f"{number:02d}_manual1.gif", mask(slice(4, 5), slice(0, 17)))
    (manifest,), prepared = write_manifests("drive", source, tmp_path / "out")
    dataset, read = samples(manifest, None)
    splits = {case.name: case.split for case in dataset.cases}
    assert splits == {"02_test": "test", "21_training": None, "22_training": None}
    assert read["21_training"].planes.sum() == 17
    assert read["21_training"].counts.sum() == 170  # the field of view
    assert any("1 images have no 1st_manual" in note for note in prepared.notes)


def workbook(path: Path, rows: list[list[str]]) -> None:
    """An xlsx as programs write it: texts shared, numbers in place."""
    texts = [cell for row in rows for cell in row if not cell.isdecimal()]

    def cell(value: str, place: str) -> str:
        if value.isdecimal():
            return f'<c r="{place}"><v>{value}</v></c>'
        return f'<c r="{place}" t="s"><v>{texts.index(value)}</v></c>'

    lines = [
        "<row>" + "".join(cell(value, f"{'ABCD'[column]}{line}") for column, value in enumerate(row)) + "</row>"
        for line, row in enumerate(rows, start=1)
    ]
    space = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("xl/sharedStrings.xml", f"<sst {space}>{''.join(f'<si><t>{t}</t></si>' for t in texts)}</sst>")
        archive.writestr(
            "xl/worksheets/sheet1.xml", f"<worksheet {space}><sheetData>{''.join(lines)}</sheetData></worksheet>"
        )


def autooral(source: Path, part: str, word: str, numbers: list[int]) -> None:
    for number in numbers:
        picture(source / part / f"data_{word}" / f"{number:04d}.png", colours(number))
        picture(source / part / f"mask_{word}" / f"{number:04d}.png", mask(slice(1, 3), slice(1, 3)))


def test_autooral(tmp_path):
    source = tmp_path / "Autooral_dataset"
    autooral(source, "Train", "train", [1, 2, 3])
    autooral(source, "Test", "test", [4])
    heads = ["Patient ID", "Image Number", "Disease"]
    workbook(
        source / "Training Set disease classification.xlsx",
        [heads, ["P1", "1", "RAU"], ["P1", "2", "RAU"], ["P2", "3", "OLP"]],
    )
    (manifest,), prepared = write_manifests("autooral", source, tmp_path / "out")
    dataset, read = samples(manifest)
    groups = {case.name: case.group for case in dataset.cases}
    assert groups == {
        "train/0001": "train-patient-P1",
        "train/0002": "train-patient-P1",
        "train/0003": "train-patient-P2",
        "test/0004": "test/0004",
    }
    assert read["train/0001"].planes.sum() == 4
    assert any("each counts as a patient" in note for note in prepared.notes)


def test_a_workbook_that_declares_entities_is_refused(tmp_path):
    autooral(tmp_path, "Train", "train", [1])
    with zipfile.ZipFile(tmp_path / "Training Set disease classification.xlsx", "w") as archive:
        archive.writestr("xl/worksheets/sheet1.xml", '<!DOCTYPE x [<!ENTITY a "b">]><worksheet>&a;</worksheet>')
    with pytest.raises(DataError, match="declares entities"):
        write_manifests("autooral", tmp_path, tmp_path / "out")


def isic(source: Path, part: str, names: list[str], *, truth: bool = True) -> None:
    for name in names:
        picture(source / f"ISIC2018_Task1-2_{part}_Input" / f"{name}.jpg", colours())
        if truth:
            outline = source / f"ISIC2018_Task1_{part}_GroundTruth" / f"{name}_segmentation.png"
            picture(outline, mask(slice(2, 6), slice(3, 9)))


def test_isic(tmp_path):
    isic(tmp_path, "Training", ["ISIC_0000000", "ISIC_0000001"])
    isic(tmp_path, "Validation", ["ISIC_0012255"])
    isic(tmp_path, "Test", ["ISIC_0012169"], truth=False)
    (tmp_path / "ISIC2018_Task1-2_Training_Input" / "LICENSE.txt").touch()
    (manifest,), prepared = write_manifests("isic", tmp_path, tmp_path / "out")
    dataset, read = samples(manifest, None)
    assert [case.split for case in dataset.cases] == ["train", "train", "validation"]
    assert read["ISIC_0000000"].planes.sum() == 24
    assert prepared.notes == ("1 images have no outline and are left out.",)


def test_isic_of_another_year_with_superpixels(tmp_path):
    images, truths = tmp_path / "ISIC-2017_Training_Data", tmp_path / "ISIC-2017_Training_Part1_GroundTruth"
    picture(images / "ISIC_0000000.jpg", colours())
    picture(images / "ISIC_0000000_superpixels.png", colours())
    picture(truths / "ISIC_0000000_segmentation.png", mask(slice(2, 6), slice(3, 9)))
    (manifest,), prepared = write_manifests("isic", tmp_path, tmp_path / "out")
    assert [case.split for case in read_dataset(manifest).cases] == [None]
    assert "--split" in prepared.notes[0]


def test_outlines_without_their_images_are_refused(tmp_path):
    isic(tmp_path, "Training", ["ISIC_0000000"])
    next(tmp_path.rglob("*.jpg")).unlink()
    with pytest.raises(DataError, match="have no image"):
        write_manifests("isic", tmp_path, tmp_path / "out")


# All of them


@pytest.mark.parametrize("name", ENTRIES)
def test_another_layout_is_refused_with_the_one_that_is_expected(name, tmp_path):
    (tmp_path / "in").mkdir()
    with pytest.raises(DataError, match="does not hold the data set: expected is") as refusal:
        write_manifests(name, tmp_path / "in", tmp_path / "out")
    assert ENTRIES[name].layout in str(refusal.value)
    assert not list(tmp_path.glob("out/*.csv"))


@pytest.mark.parametrize("name", ENTRIES)
def test_an_entry_says_everything(name):
    entry = dataset_entry(name)
    assert all((entry.what, entry.labels, entry.licence, entry.layout))
    assert entry.page.startswith("https://")
    assert bool(entry.parts) != bool(entry.by_hand)
    assert all(part.item.address.startswith("https://") or part.item.door.variable for part in entry.parts)


@pytest.mark.parametrize("name", [name for name, entry in ENTRIES.items() if entry.by_hand])
def test_what_cannot_be_fetched_comes_with_what_to_do(name, tmp_path):
    with pytest.raises(EnvironmentFault) as refusal:
        fetch_dataset(name, tmp_path, notice=str)
    for part in (ENTRIES[name].by_hand, ENTRIES[name].licence, f"segdistill datasets manifest {name}"):
        assert part in str(refusal.value)


@pytest.mark.parametrize("name", [name for name, entry in ENTRIES.items() if entry.parts])
def test_offline_it_is_told_what_belongs_where(name, tmp_path, monkeypatch):
    monkeypatch.setenv("SEGDISTILL_OFFLINE", "1")
    with pytest.raises(EnvironmentFault) as refusal:
        fetch_dataset(name, tmp_path, notice=str)
    item: Item = ENTRIES[name].parts[0].item
    for part in (item.address, str(tmp_path / name / item.name), item.checksum or "no checksum was published"):
        assert part in str(refusal.value)


def test_what_was_unpacked_is_not_asked_for_again(tmp_path, monkeypatch):
    monkeypatch.setenv("SEGDISTILL_OFFLINE", "1")
    (tmp_path / "chaos" / "CHAOS_Train_Sets").mkdir(parents=True)
    assert fetch_dataset("chaos", tmp_path, notice=str) == tmp_path / "chaos"


def test_an_unknown_data_set_comes_with_the_nearest():
    with pytest.raises(UnknownName, match=r"Did you mean 'tissuenet'"):
        dataset_entry("tisuenet")


def test_a_manifest_is_not_overwritten(tmp_path):
    isic(tmp_path / "in", "Training", ["ISIC_0000000"])
    write_manifests("isic", tmp_path / "in", tmp_path / "out")
    with pytest.raises(EnvironmentFault, match="exists"):
        write_manifests("isic", tmp_path / "in", tmp_path / "out")


def test_hidden_files_of_other_systems_are_passed_over(tmp_path):
    isic(tmp_path / "in", "Training", ["ISIC_0000000"])
    isic(tmp_path / "in" / "__MACOSX", "Test", ["ISIC_0000009"])
    _, prepared = write_manifests("isic", tmp_path / "in", tmp_path / "out")
    assert len(prepared.manifests["manifest"]) == 1


def test_odd_names_and_places_survive_the_manifest(tmp_path):
    image = picture(tmp_path / "a b, 'ü'" / "im;age.png", colours())
    label = picture(tmp_path / 'la"bel.png', mask(slice(0, 2), slice(0, 2)))
    write_manifest(tmp_path / "deep" / "er" / "m.csv", [Row(name="a b", image=image, labels={"cell": label})])
    dataset, read = samples(tmp_path / "deep" / "er" / "m.csv", None)
    assert read["a b"].planes.sum() == 4
    assert dataset.cases[0].group == "a b"


def test_terms_of_a_data_set_stand_beside_each_of_its_images(tmp_path):
    image = picture(tmp_path / "a.png", colours())
    write_manifest(tmp_path / "m.csv", [Row(name="a", image=image, labels={})], licence="CC-BY-NC, with a comma")
    assert [case.remarks["licence"] for case in read_dataset(tmp_path / "m.csv").cases] == ["CC-BY-NC, with a comma"]


def test_images_of_different_channels_do_not_share_a_manifest(tmp_path):
    one, two = Row(name="1", image={"a": tmp_path}), Row(name="2", image={"b": tmp_path})
    with pytest.raises(DataError, match="different channels"):
        write_manifest(tmp_path / "m.csv", [one, two])
    with pytest.raises(DataError, match="no images"):
        write_manifest(tmp_path / "m.csv", [])


def test_pickle_is_used_for_tables_alone():
    # A guard for the guard: the restricted reader is the one place that unpickles.
    folder = Path(__file__).parents[2] / "src" / "segdistill" / "datasets"
    users = [path.name for path in folder.glob("*.py") if "import pickle" in path.read_text(encoding="utf-8")]
    assert users == ["npy_stream.py"]
    assert pickle.format_version
