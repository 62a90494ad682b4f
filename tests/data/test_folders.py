import os
import unicodedata

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image as Pillow

from segdistill.data.folders import read_folder
from segdistill.errors import ConfigError, DataError


def put(root, *names):
    """Write a file of 3 × 5 pixels under each name."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() in {".tif", ".tiff"}:
            tifffile.imwrite(path, np.ones((3, 5), np.uint8))
        elif path.suffix.lower() in {".png", ".gif"}:
            Pillow.fromarray(np.ones((3, 5), np.uint8)).save(path)
        else:
            path.write_text("not a picture")


def read(root, *, structure="cell", pattern=None):
    return read_folder(root, structure=structure, pattern=pattern)


def pairs(found, label_set="cell"):
    return {case.name: case.labels[label_set].name for case in found.cases if label_set in case.labels}


def test_any_mix_of_suffixes_is_paired_by_stem(tmp_path):
    put(tmp_path, "images/a.ome.tif", "images/b.PNG", "images/c.1.TIFF", "images/d e.png")
    put(tmp_path, "labels/a.png", "labels/b.tif", "labels/c.1.GIF", "labels/d e.ome.TIF")
    found = read(tmp_path)
    assert pairs(found) == {"a": "a.png", "b": "b.tif", "c.1": "c.1.GIF", "d e": "d e.ome.TIF"}
    assert found.label_sets == ("cell",)
    assert not found.notes
    assert [case.group for case in found.cases] == ["a", "b", "c.1", "d e"]


@pytest.mark.parametrize("name", ["mit Blank", "Ünïcode", "🔬 'quoted' \"twice\"", "x" * 200, "=1+1", "-rf"])
def test_odd_names_are_names(tmp_path, name):
    put(tmp_path, f"images/{name}/{name}.tif", f"labels/{name}/{name}.png")
    (case,) = read(tmp_path).cases
    assert case.name == unicodedata.normalize("NFC", f"{name}/{name}")
    assert case.labels["cell"].exists()


def test_composed_and_decomposed_letters_are_the_same_stem(tmp_path):
    composed, decomposed = (unicodedata.normalize(form, "Zürich é") for form in ("NFC", "NFD"))
    assert composed != decomposed
    put(tmp_path, f"images/{composed}.tif", f"labels/{decomposed}.png", f"ignore/{decomposed}.png")
    (case,) = read(tmp_path).cases
    assert case.labels["cell"].exists()
    assert case.ignore is not None
    assert case.name == composed


def test_composed_and_decomposed_letters_are_the_same_folder(tmp_path):
    composed, decomposed = (unicodedata.normalize(form, "Zürich") for form in ("NFC", "NFD"))
    put(tmp_path, f"images/{decomposed}/A01.tif", f"labels/{composed}/A01.png")
    (case,) = read(tmp_path).cases
    assert case.labels["cell"].exists()


def test_one_stem_in_two_folders_stays_apart(tmp_path):
    put(tmp_path, "images/plate 1/A01.tif", "images/plate 2/A01.tif", "images/A01.tif")
    put(tmp_path, "labels/plate 1/A01.png", "labels/plate 2/A01.tif")
    found = read(tmp_path)
    assert [case.name for case in found.cases] == ["A01", "plate 1/A01", "plate 2/A01"]
    assert pairs(found) == {"plate 1/A01": "A01.png", "plate 2/A01": "A01.tif"}
    assert [case.group for case in found.cases] == ["A01", "plate 1", "plate 2"]
    assert any("groups are the sub-folders" in note for note in found.notes)


def test_the_outer_sub_folder_is_the_group(tmp_path):
    put(tmp_path, "images/patient 7/left/a.tif", "images/patient 7/right/a.tif")
    assert {case.group for case in read(tmp_path).cases} == {"patient 7"}


def test_sub_folders_called_after_splits_are_splits(tmp_path):
    put(tmp_path, "images/train/a.tif", "images/Val/p1/b.tif", "images/test/p2/c.tif", "images/d.tif")
    put(tmp_path, "labels/train/a.tif")
    found = read(tmp_path)
    assert {case.name: (case.split, case.group) for case in found.cases} == {
        "train/a": ("train", "train/a"),
        "Val/p1/b": ("validation", "p1"),
        "test/p2/c": ("test", "p2"),
        "d": (None, "d"),
    }
    assert any("splits are taken" in note for note in found.notes)
    assert pairs(found) == {"train/a": "a.tif"}


def test_several_structures_have_a_folder_each(tmp_path):
    put(tmp_path, "images/a.tif", "images/b.tif", "labels/nucleus/a.png", "labels/cell/a.png", "labels/cell/b.png")
    found = read(tmp_path, structure="unused")
    assert found.label_sets == ("cell", "nucleus")
    assert sorted(found.cases[0].labels) == ["cell", "nucleus"]
    assert sorted(found.cases[1].labels) == ["cell"]
    assert any(note.startswith("nucleus: 1 of 2 images have no label: b") for note in found.notes)


def test_structures_and_sub_folders_together(tmp_path):
    put(tmp_path, "images/p1/a.tif", "labels/nucleus/p1/a.png", "labels/cell/p1/a.png")
    assert sorted(read(tmp_path).cases[0].labels) == ["cell", "nucleus"]


def test_folders_of_labels_that_are_both_are_refused(tmp_path):
    put(tmp_path, "images/p1/a.tif", "images/b.tif", "labels/p1/a.png", "labels/nucleus/b.png")
    with pytest.raises(ConfigError, match=r"p1 repeat folders of images/, but nucleus do not"):
        read(tmp_path)


def test_regions_are_paired_too(tmp_path):
    put(tmp_path, "images/a.tif", "images/b.tif", "ignore/a.png", "field_of_view/b.gif", "field_of_view/stray.gif")
    found = read(tmp_path)
    first, second = found.cases
    assert (first.ignore is None, first.field_of_view is None) == (False, True)
    assert (second.ignore is None, second.field_of_view is None) == (True, False)
    assert found.notes == ("field_of_view: 1 file without an image: stray.",)
    assert found.label_sets == ()


def test_nothing_is_dropped_silently(tmp_path):
    put(tmp_path, "images/a.tif", "images/b.tif", "images/notes.txt", "images/.hidden", "images/LICENSE")
    put(tmp_path, "labels/a.tif", "labels/stray.tif", "labels/legend.csv")
    notes = read(tmp_path).notes
    assert notes == (
        "images/: 2 files left aside: LICENSE, notes.txt.",
        "cell/: 1 file left aside: legend.csv.",
        "cell: 1 file without an image: stray.",
        "cell: 1 of 2 images have no label: b.",
    )


def test_formats_without_a_reader_are_not_left_aside(tmp_path):
    # Reading them is refused with a hint how to convert; that is for the reader to say.
    put(tmp_path, "images/a.czi", "images/b.nd2")
    assert [case.name for case in read(tmp_path).cases] == ["a", "b"]


def test_all_twins_are_refused_at_once(tmp_path):
    put(tmp_path, "images/a.tif", "images/a.png", "images/b.tif", "images/c.ome.tif", "images/c.tif")
    with pytest.raises(DataError, match=r"a\.png and a\.tif, c\.ome\.tif and c\.tif"):
        read(tmp_path)


def test_twin_labels_are_refused(tmp_path):
    put(tmp_path, "images/a.tif", "labels/a.tif", "labels/a.gif")
    with pytest.raises(DataError, match=r"labels has several files of one stem: a\.gif and a\.tif"):
        read(tmp_path)


def test_labels_of_other_images_are_refused(tmp_path):
    put(tmp_path, "images/a.tif", "images/b.tif", "labels/a_mask.png", "labels/b_mask.png")
    with pytest.raises(DataError, match=r"2 labels and 2 images.*labels a_mask, b_mask; images a, b"):
        read(tmp_path)


def test_a_folder_without_images_is_refused_with_what_it_holds(tmp_path):
    put(tmp_path, "pictures/a.tif")
    with pytest.raises(DataError, match=r"no folder images/ \(it holds pictures\)"):
        read(tmp_path)
    put(tmp_path, "images/readme.txt")
    with pytest.raises(DataError, match=r"holds no image\. Found: readme\.txt"):
        read(tmp_path)


def test_a_zarr_folder_is_one_image(tmp_path):
    for name in ("images/a.ome.zarr", "images/b"):
        zarr.save_array(str(tmp_path / name), np.ones((3, 5), np.uint8))
    assert [case.name for case in read(tmp_path).cases] == ["a", "b"]


def test_linked_folders_are_followed_once(tmp_path):
    put(tmp_path, "elsewhere/a.tif")
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "here").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "loop").symlink_to(tmp_path / "elsewhere")
    assert [case.name for case in read(tmp_path).cases] == ["here/a"]


def test_one_file_per_channel(tmp_path):
    put(tmp_path, "images/p/f_1_dapi.tif", "images/p/f_1_actin.TIF", "images/thumb.png", "labels/p/f_1.png")
    found = read(tmp_path, pattern="{name}_{channel}.tif")
    (case,) = found.cases
    assert case.name == "p/f_1"
    assert {channel: path.name for channel, path in case.image.items()} == {
        "actin": "f_1_actin.TIF",
        "dapi": "f_1_dapi.tif",
    }
    assert case.labels["cell"].name == "f_1.png"
    assert found.notes[0] == "images/: 1 file left aside: thumb.png."


@pytest.mark.parametrize("pattern", ["{channel}/{name}.tif", "{channel}/{name}"])
def test_one_folder_per_channel(tmp_path, pattern):
    put(tmp_path, "images/dapi/a.tif", "images/actin/a.tif", "labels/a.tif")
    (case,) = read(tmp_path, pattern=pattern).cases
    assert (case.name, list(case.image)) == ("a", ["actin", "dapi"])
    assert "cell" in case.labels


def test_a_missing_channel_is_refused_by_name(tmp_path):
    put(tmp_path, "images/a_dapi.tif", "images/a_actin.tif", "images/b_dapi.tif")
    with pytest.raises(DataError, match=r"\(actin, dapi\) that others lack: b lacks actin"):
        read(tmp_path, pattern="{name}_{channel}.tif")


def test_a_channel_found_twice_is_refused(tmp_path):
    put(tmp_path, "images/a_dapi.tif", "images/a_dapi.png")
    with pytest.raises(DataError, match="both channel 'dapi' of 'a'"):
        read(tmp_path, pattern="{name}_{channel}")


@pytest.mark.parametrize("pattern", ["{name}.tif", "{channel}.tif", "*.tif", "{name}_{chanel}.tif", "{name}{name}"])
def test_patterns_that_say_too_little_are_refused(tmp_path, pattern):
    put(tmp_path, "images/a_dapi.tif")
    with pytest.raises(ConfigError, match=r"must hold \{name\} and \{channel\}, each once"):
        read(tmp_path, pattern=pattern)


def test_a_pattern_that_matches_nothing_is_refused(tmp_path):
    put(tmp_path, "images/a.tif")
    with pytest.raises(DataError, match=r"no image that matches the pattern.*Found: a\.tif"):
        read(tmp_path, pattern="{name}_{channel}.tif")


def test_nothing_is_written_beside_the_input(tmp_path):
    put(tmp_path, "images/a.tif", "labels/a.tif")
    before = sorted((place, tuple(files)) for place, _, files in os.walk(tmp_path))
    read(tmp_path)
    assert sorted((place, tuple(files)) for place, _, files in os.walk(tmp_path)) == before
