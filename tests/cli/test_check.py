import shutil

import numpy as np
import pytest
import tifffile

from segdistill.data.simulate import TissueSettings, write_tissue


@pytest.fixture(scope="session")
def pristine(tmp_path_factory):
    """Six fields that are as they should be."""
    folder = tmp_path_factory.mktemp("check") / "tissue"
    write_tissue(folder, count=6, seed=3, settings=TissueSettings())
    return folder


@pytest.fixture
def data(pristine, tmp_path):
    return shutil.copytree(pristine, tmp_path / "data")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path_factory, monkeypatch):
    """Where check.html goes."""
    folder = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.chdir(folder)
    return folder


def image(data, index):
    return data / f"images/tissue_{index:04}.ome.tif"


def change(path, edit):
    """Write an image again, edited, and keep what it says of itself."""
    with tifffile.TiffFile(path) as file:
        description, array = file.ome_metadata, file.asarray()
    assert description is not None
    edited = edit(array)
    tifffile.imwrite(path, edited, description=description.encode(), metadata=None, photometric="minisblack")


def test_a_sound_data_set_has_a_table_and_no_fault(run, data):
    done = run("check", data, "--student-channels", "nucleus", "--teacher-channels", "nucleus", "membrane")
    assert (done.status, done.err) == (0, "")
    table = dict(line.split("  ", 1) for line in done.out.splitlines()[2:-1] if "  " in line)
    table = {head: cell.strip() for head, cell in table.items()}
    assert table["readable images"] == "6"
    assert table["size (y × x)"] == "128 × 160"
    assert table["channels"] == "nucleus, membrane"
    assert table["pixel size"] == "0.5 µm"
    assert table["type"] == "uint16"
    cells = sum(len(np.unique(tifffile.imread(path))) - 1 for path in (data / "labels/cell").iterdir())
    assert table["labels cell"] == f"instances, 6 readable files, {cells} objects, 0 empty"
    assert done.out.endswith("Every file can be used.\n")


def test_names_in_place_of_the_files_own_are_told_and_moved_ones_are_a_fault(run, data):
    done = run("check", data, "--channels", "DAPI", "membrane")
    assert done.status == 0
    assert "renames the channels of 6 of 6 images: tissue_0000, whose file says nucleus, membrane" in done.out
    done = run("check", data, "--channels", "membrane", "nucleus")
    assert done.status == 1
    assert (done.out + done.err).count("names its channels itself: nucleus, membrane") == 6


def test_every_fault_is_told_by_file_all_at_once(run, data):
    image(data, 0).write_bytes(image(data, 0).read_bytes()[:3000])
    float_image = tifffile.imread(image(data, 1)).astype(np.float32)
    float_image[1, 5, 7] = np.nan
    tifffile.imwrite(image(data, 1), float_image, photometric="minisblack", metadata={"axes": "CYX"})
    label = data / "labels/cell/tissue_0002.tif"
    tifffile.imwrite(label, tifffile.imread(label)[:-1])
    (data / "labels/nucleus/tissue_0003.tif").write_bytes(b"nothing")
    empty = data / "labels/cell/tissue_0004.tif"
    tifffile.imwrite(empty, np.zeros_like(tifffile.imread(empty)))
    done = run("check", data, "--no-near-duplicates")
    assert done.status == 1
    head, faults = done.out.split("Cannot be used: 4\n")
    lines = faults.splitlines()
    assert len(lines) == 4
    assert str(image(data, 0)) in lines[0]
    assert "1 of 20,480 pixels of channel" in lines[1]
    assert f"{label} has 127 × 160 pixels (y × x), but its image has 128 × 160." in lines[2]
    assert "labels/nucleus/tissue_0003.tif" in lines[3]
    assert "1 empty" in head
    for what in ("channels", "types", "pixel sizes"):
        assert f"Images have different {what}: " in head


def test_pixels_that_will_be_filled_are_no_fault(run, data):
    array = tifffile.imread(image(data, 1)).astype(np.float32)
    array[0, 3, 5] = np.inf
    tifffile.imwrite(image(data, 1), array, photometric="minisblack", metadata={"axes": "CYX"})
    assert run("check", data).status == 1
    assert run("check", data, "--nan", "fill").status == 0


def test_missing_channels_are_named_with_the_nearest(run, data):
    done = run("check", data, "--student-channels", "nuclei", "--teacher-channels", "nucleus", "membrane")
    assert done.status == 1
    assert "Cannot be used: 1\n" in done.out
    assert "What the student is to see in tissue_0000, tissue_0001, " in done.out
    assert "has no channel 'nuclei'. Did you mean 'nucleus'? It has: nucleus, membrane." in done.out


def test_given_names_of_channels_replace_the_files_own(run, data):
    assert run("check", data, "--channels", "a", "b", "--student-channels", "b").status == 0


def test_images_and_labels_without_a_partner_are_told(run, data):
    (data / "labels/cell/tissue_0001.tif").rename(data / "labels/cell/stranger.tif")
    done = run("check", data)
    assert done.status == 0
    assert "without an image: stranger" in done.out
    assert "have no label: tissue_0001" in done.out


def test_equal_and_nearly_equal_pictures_are_told_once(run, data):
    image(data, 5).write_bytes(image(data, 4).read_bytes())
    change(image(data, 1), lambda _: np.ascontiguousarray(tifffile.imread(image(data, 0))[:, :, ::-1]))
    done = run("check", data)
    assert done.status == 0
    assert "The same picture: tissue_0004, tissue_0005." in done.out
    assert "Nearly the same picture: tissue_0000, tissue_0001." in done.out
    assert done.out.count("tissue_0004") == 1
    assert "Nearly" not in run("check", data, "--no-near-duplicates").out


def test_a_channel_of_one_value_is_told_and_no_fault(run, data):
    change(image(data, 2), lambda array: np.stack([array[0], np.full_like(array[1], 9)]))
    done = run("check", data)
    assert done.status == 0
    assert "Channels of one value throughout, in 1 image: tissue_0002 (membrane)." in done.out


def test_labels_of_unclear_meaning_are_a_fault_that_a_setting_mends(run, data):
    for path in (data / "labels/nucleus").iterdir():
        tifffile.imwrite(path, tifffile.imread(path).clip(max=3))
    done = run("check", data)
    assert done.status == 1
    assert "Labels 'nucleus': Label files hold the values 1, 2, 3" in done.out
    assert "labels nucleus" in done.out
    assert "not clear" in done.out
    assert run("check", data, "--label-kind", "classes").status == 0
    assert "holds 3 values besides 0" in run("check", data, "--label-kind", "binary").out


def test_masks_of_what_counts_are_read_too(run, data):
    (data / "ignore").mkdir()
    tifffile.imwrite(data / "ignore/tissue_0000.tif", np.zeros((128, 159), np.uint8))
    done = run("check", data)
    assert done.status == 1
    assert "ignore/tissue_0000.tif has 128 × 159 pixels (y × x), but its image has 128 × 160." in done.out


def test_groups_in_several_splits_are_a_fault_as_they_are_to_training(run, data):
    rows = [f"images/tissue_000{index}.ome.tif,slide {index % 2},{'train' if index else 'test'}" for index in range(3)]
    manifest = data / "cases.csv"
    manifest.write_text("\n".join(["image,group,split", *rows]))
    done = run("check", manifest)
    assert done.status == 1
    assert "Cannot be used: 1\n  1 group has cases in several splits: slide 0 (test, train)" in done.out
    assert "Every file can be used." not in done.out


def test_equal_pictures_that_stand_in_several_splits_are_named_with_them(run, data):
    image(data, 1).write_bytes(image(data, 0).read_bytes())
    rows = [f"images/tissue_000{index}.ome.tif,{'train' if index else 'test'}" for index in range(3)]
    (data / "cases.csv").write_text("\n".join(["image,split", *rows]))
    done = run("check", data / "cases.csv")
    assert done.status == 0
    assert "They stand in several splits (train: images/tissue_0001; test: images/tissue_0000)" in done.out
    assert "may tear them apart" not in done.out


def test_what_is_no_data_set_is_refused(run, tmp_path):
    done = run("check", tmp_path)
    assert done.status == 2
    assert "has no folder images/" in done.err


def test_the_page_shows_every_case_and_what_is_odd_first(run, data, elsewhere):
    label = data / "labels/cell/tissue_0003.tif"
    tifffile.imwrite(label, np.ascontiguousarray(tifffile.imread(label)[::-1]))
    done = run("check", data)
    assert (done.status, done.err) == (0, "")
    assert "Look at tissue_0003: cell: the labels fit the image better mirrored top to bottom" in done.out
    page = (elsewhere / "check.html").read_text(encoding="utf-8")
    assert page.count("<figure><img") == 6
    assert page.index("the labels fit the image better") < page.index("<strong>tissue_0000</strong>")
    cells = sum(len(np.unique(tifffile.imread(path))) - 1 for path in (data / "labels/cell").iterdir())
    assert '<td>cell</td><td class="number">6</td><td class="number">6</td>' in page
    assert f'<td class="number">{cells}</td>' in page


def test_nothing_is_written_beside_the_images_nor_over_other_files(run, data, elsewhere):
    before = sorted(data.rglob("*"))
    (elsewhere / "mine.html").write_text("mine")
    refused = run("check", data, "--page", "mine.html")
    assert refused.status == 3
    assert "no page of an earlier check" in refused.err
    assert (elsewhere / "mine.html").read_text() == "mine"
    assert run("check", data).status == run("check", data).status == 0  # a page of its own it replaces
    assert sorted(data.rglob("*")) == before


def test_sides_are_warned_of_before_images_are_mirrored(run, data):
    (data / "labels/cell").rename(data / "labels/left cell")
    assert "left cell: a mirrored image has left and right exchanged." in run("check", data).out


@pytest.mark.parametrize(("kind", "found"), [("bits", "5, 7"), ("classes", "5, 6, 7")])
def test_numbers_that_no_name_is_given_for_are_a_fault_of_their_file(run, data, kind, found):
    for folder in ("cell", "nucleus"):
        for path in (data / "labels" / folder).iterdir():
            tifffile.imwrite(path, np.minimum(tifffile.imread(path), 2))
    wrong = data / "labels/cell/tissue_0001.tif"
    numbers = tifffile.imread(wrong)
    numbers[0, :3] = (5, 7, 6 if kind == "classes" else 0)
    tifffile.imwrite(wrong, numbers)
    done = run("check", data, "--label-kind", kind, "--value-names.1", "cell", "--value-names.2", "nuc")
    assert done.status == 1
    assert "Cannot be used: 1\n" in done.out
    assert f"{wrong} holds the values {found}, but the {kind} of label set 'cell' are 1, 2." in done.out


def test_bits_and_classes_are_counted_one_by_one(run, data, elsewhere):
    for folder in ("cell", "nucleus"):
        for path in (data / "labels" / folder).iterdir():
            tifffile.imwrite(path, tifffile.imread(path) % 8)
    assert run("check", data, "--label-kind", "bits").status == 0
    page = (elsewhere / "check.html").read_text(encoding="utf-8")
    planes = [tifffile.imread(path) for path in (data / "labels/cell").iterdir()]
    share = np.mean([plane & 4 != 0 for plane in planes])
    row = page[page.index(">bit 4<") :]
    assert f"{100 * share:.2f}</td>" in row[: row.index("</tr>")]
