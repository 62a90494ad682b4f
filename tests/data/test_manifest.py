import unicodedata

import numpy as np
import pytest
from PIL import Image as Pillow

from segdistill.data.manifest import read_manifest
from segdistill.errors import DataError


def picture(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Pillow.fromarray(np.ones((3, 5), np.uint8)).save(path)


def write(folder, text, *, encoding="utf-8"):
    (folder / "fields.csv").write_bytes(text.encode(encoding))
    return folder / "fields.csv"


@pytest.fixture
def folder(tmp_path):
    for name in ("x/a.png", "x/b.png", "y/a.png", "masks/1.png", "masks/2.png"):
        picture(tmp_path / name)
    return tmp_path


def read(folder, text, **options):
    return read_manifest(write(folder, text, **options), structure="cell")


def test_all_columns(folder):
    found = read(
        folder,
        "image,label,group,split,ignore,field_of_view,#note\n"
        "x/a.png,masks/1.png,patient 1,train,masks/2.png,,good\n"
        "x/b.png,,patient 1,,,masks/2.png,\n"
        "\n"
        "y/a.png,masks/2.png,,VAL,,,\n",
    )
    assert [case.name for case in found.cases] == ["x/a", "x/b", "y/a"]
    assert [case.group for case in found.cases] == ["patient 1", "patient 1", "y/a"]
    assert [case.split for case in found.cases] == ["train", None, "validation"]
    assert [dict(case.labels) for case in found.cases] == [
        {"cell": folder / "masks/1.png"},
        {},
        {"cell": folder / "masks/2.png"},
    ]
    assert [case.ignore for case in found.cases] == [folder / "masks/2.png", None, None]
    assert [case.field_of_view for case in found.cases] == [None, folder / "masks/2.png", None]
    assert found.label_sets == ("cell",)
    assert found.notes == ("cell: 1 of 3 images have no label: x/b.",)


def test_columns_of_remarks_are_kept_where_they_are_filled(folder):
    found = read(folder, "#,image,#scanner,# cell line ,#\nwhatever,x/a.png,B,,x\n,x/b.png, A ,HeLa,\n")
    assert [dict(case.remarks) for case in found.cases] == [{"scanner": "B"}, {"scanner": "A", "cell line": "HeLa"}]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("line", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_spreadsheets_write_it_in_many_ways(folder, separator, line, encoding):
    rows = [["image", " label "], ["x/a.png", " masks/1.png"]]
    text = "".join(separator.join(row) + line for row in rows)
    (case,) = read(folder, text, encoding=encoding).cases
    assert case.labels["cell"] == folder / "masks/1.png"


def test_several_structures_and_channels(folder):
    found = read(
        folder,
        "name,image:dapi,image:actin,label:nucleus,label:cell\nfield 1,x/a.png,x/b.png,masks/1.png,\n",
    )
    (case,) = found.cases
    assert case.name == "field 1"
    assert case.image == {"dapi": folder / "x/a.png", "actin": folder / "x/b.png"}
    assert found.label_sets == ("nucleus",)
    assert found.notes == ("cell: 1 of 1 images have no label: field 1.",)


def test_names_never_lead_out_of_a_folder(folder):
    inner = folder / "lists"
    inner.mkdir()
    absolute = folder / "y/a.png"
    found = read(inner, f"image\n../x/a.png\n{absolute}\n")
    assert [case.name for case in found.cases] == ["x/a", absolute.with_suffix("").as_posix().lstrip("/")]


def test_quoted_cells_may_hold_separators_and_quotes(folder):
    picture(folder / 'x, "y".png')
    (case,) = read(folder, 'image,group\n"x, ""y"".png",g\n').cases
    assert case.image == folder / 'x, "y".png'


def test_a_decomposed_name_on_disk_is_found(folder):
    picture(folder / unicodedata.normalize("NFD", "Zürich") / unicodedata.normalize("NFD", "é.png"))
    (case,) = read(folder, unicodedata.normalize("NFC", "image\nZürich/é.png\n")).cases
    assert case.image.exists()
    assert case.name == unicodedata.normalize("NFC", "Zürich/é")


def test_all_errors_come_at_once_with_their_rows(folder):
    with pytest.raises(DataError) as caught:
        read(
            folder,
            "image,label,split\n"
            "x/a.png,masks/1.png,train\n"
            "x/gone.png,,\n"
            "y/a.png,masks/none.png,trian\n"
            ",masks/1.png,\n"
            "x/a.png,,\n"
            "x/b.png,,test,surplus\n"
            "..,,\n"
            f"{'x' * 300}.png,,\n",
        )
    message = str(caught.value)
    assert "has 8 errors" in message
    assert "row 3: image: there is no file 'x/gone.png'" in message
    assert "row 4: label: there is no file 'masks/none.png'" in message
    assert "row 4: split: 'trian' is none of train, validation, test. Did you mean 'train'?" in message
    assert "row 5: image: the cell is empty" in message
    assert "row 6: the image is that of row 2 too" in message
    assert "row 8: image: '..' is a folder, and no OME-Zarr" in message
    assert "x.png' cannot be looked up: File name too long" in message
    assert "row 7: there are 4 cells, but 3 columns" in message


def test_a_long_list_of_errors_is_counted(folder):
    with pytest.raises(DataError, match=r"has 25 errors(?s:.*)row 21(?s:.*)and 5 more"):
        read(folder, "image\n" + "gone.png\n" * 25)


def test_two_files_of_one_name_are_refused(folder):
    picture(folder / "x/a.tif")
    with pytest.raises(DataError, match=r"row 3: the name 'x/a' is that of row 2 too; add a column 'name'"):
        read(folder, "image\nx/a.png\nx/a.tif\n")


@pytest.mark.parametrize("name", ["../out", "/etc/a", "a/../b", "./a"])
def test_names_that_lead_elsewhere_are_refused(folder, name):
    with pytest.raises(DataError, match="must be a plain relative path"):
        read(folder, f"image,name\nx/a.png,{name}\n")


@pytest.mark.parametrize(
    ("columns", "error"),
    [
        ("image,lable", r"column 'lable' is unknown\. Did you mean 'label'\?"),
        ("label,group", "there is no column 'image'"),
        ("image,group,group", "column 'group' occurs twice"),
        ("image,#site,#site", "column '#site' occurs twice"),
        ("image,modality", r"column 'modality' is unknown.*begin the name of any other with '#'"),
        ("image,image:dapi", "column 'image' stands beside columns image:NAME"),
        ("image,label,label:cell", "column 'label' stands beside columns label:NAME"),
        ("image,split:train", "column 'split:train' is unknown"),
        ("image,label:", "column 'label:' is unknown"),
    ],
)
def test_columns_are_checked(folder, columns, error):
    with pytest.raises(DataError, match=error):
        read(folder, f"{columns}\nx/a.png\n")


def test_an_empty_manifest_is_refused(folder):
    with pytest.raises(DataError, match="has no rows"):
        read(folder, "image,label\n")
    with pytest.raises(DataError, match="no column 'image'"):
        read(folder, "")


def test_text_that_is_no_table_is_refused(folder):
    with pytest.raises(DataError, match="not UTF-8"):
        read(folder, "image\nx/ü.png\n", encoding="latin-1")
    with pytest.raises(DataError, match="no CSV table"):
        read(folder, 'image\n"x/a.png\n')


def test_of_partly_labelled_data_it_is_counted_and_not_listed(folder):
    picture(folder / "masks/3.png")
    names = [f"z/{place}.png" for place in range(12)]
    for name in names:
        picture(folder / name)
    hearts = "".join(f"{name},masks/1.png,\n" for name in names)
    text = f"image,label:heart,label:vessel\n{hearts}x/a.png,,masks/2.png\n"
    assert read(folder, text).notes == (
        "heart: 1 of 13 images have no label: x/a.",
        "vessel: 12 of 13 images have no label (each has one of something else): it counts for nothing there.",
    )
    notes = read(folder, f"{text}x/b.png,,\n").notes  # of an image without any label the reader wants the name
    assert notes[0] == "heart: 2 of 14 images have no label: x/a, x/b."
    assert notes[1].startswith("vessel: 13 of 14 images have no label: x/b, z/0")
