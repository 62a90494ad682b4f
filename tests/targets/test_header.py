import json

import pytest

from segdistill.data.normalisation import PercentileRule
from segdistill.errors import ConfigError, DataError
from segdistill.targets import Header, View, create_store, differences, new_header, open_store, store_folder


def test_a_store_reopens_with_the_same_header(tmp_path, teacher):
    header = Header(contracts=(teacher.contract,), maps_as="uint8", tokens=("mean",), views=(View(), View(turns=2)))
    create_store(tmp_path / "s", header)
    assert open_store(tmp_path / "s").header == header
    assert create_store(tmp_path / "s", header).header == header


def test_tiles_and_halo_come_from_the_contract(make_teacher):
    header = new_header(make_teacher(tile=160).contract)
    assert (header.tile, header.halo) == (160, 20)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"channels": ("nucleus",)}, r"contracts.0.channels: \['nucleus', 'membrane'\], but \['nucleus'\] is wanted"),
        ({"weights_sha256": "0"}, "contracts.0.weights_sha256: f+, but 0 is wanted"),
        ({"rule": PercentileRule()}, "contracts.0.rule.rule: full-range, but percentile is wanted"),
        ({"prompting": "grid"}, "contracts.0.prompting: None, but grid is wanted"),
        ({"pixel_size": 0.5}, "contracts.0.pixel_size: None, but 0.5 is wanted"),
    ],
)
def test_another_teacher_or_preprocessing_is_refused_and_named(tmp_path, teacher, make_teacher, changes, words):
    create_store(tmp_path / "s", new_header(teacher.contract))
    with pytest.raises(ConfigError, match=words):
        create_store(tmp_path / "s", new_header(make_teacher(**changes).contract))


def test_other_storage_is_refused_and_named(tmp_path, teacher):
    create_store(tmp_path / "s", new_header(teacher.contract))
    with pytest.raises(ConfigError, match=r"maps_as: float16, but uint8 is wanted"):
        create_store(tmp_path / "s", new_header(teacher.contract, maps_as="uint8"))


def test_words_about_a_teacher_make_no_other_store(tmp_path, teacher, make_teacher):
    moved = new_header(make_teacher(name="model:/elsewhere", note="new", licence="unknown").contract)
    assert differences(new_header(teacher.contract), moved) == []
    create_store(tmp_path / "s", new_header(teacher.contract))
    create_store(tmp_path / "s", moved)


def test_stores_of_several_teachers_lie_side_by_side(tmp_path, make_teacher):
    headers = [
        new_header(make_teacher(name=name, weights_sha256=weights).contract)
        for name, weights in (("sam-vit-h", "1"), ("sam-vit-h", "2"), ("onnx:nets/vessel net.onnx", "3"))
    ]
    folders = [store_folder(tmp_path, header) for header in headers]
    assert len(set(folders)) == 3
    assert folders[2].name.startswith("onnx-vessel-net-")
    assert store_folder(tmp_path, headers[0]) == folders[0]


def test_folds_must_agree_on_outputs(make_teacher):
    with pytest.raises(ConfigError, match=r"same outputs"):
        Header(contracts=(make_teacher().contract, make_teacher(outputs=("cell",)).contract))


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"views": (View(turns=1),)}, "first view"),
        ({"views": (View(), View(turns=1))}, "are for tokens"),
        ({"tokens": ("median",)}, "no tokens called median. It has: mean"),
    ],
)
def test_headers_that_make_no_sense_are_refused(teacher, parts, words):
    with pytest.raises(ConfigError, match=words):
        Header(contracts=(teacher.contract,), **parts)


def test_a_folder_with_other_files_is_refused(tmp_path, teacher):
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"not empty"):
        create_store(tmp_path, new_header(teacher.contract))
    with pytest.raises(DataError, match=r"no header.json"):
        open_store(tmp_path)


def test_other_formats_and_damaged_headers_are_refused(tmp_path, teacher):
    create_store(tmp_path / "s", new_header(teacher.contract))
    path = tmp_path / "s" / "header.json"
    whole = json.loads(path.read_text())
    path.write_text(json.dumps(whole | {"format": 2}))
    with pytest.raises(DataError, match=r"format 2, but this version reads format 1"):
        open_store(tmp_path / "s")
    path.write_text(json.dumps({**whole, "contracts": [{}]}))
    with pytest.raises(DataError, match=r"is damaged"):
        open_store(tmp_path / "s")
    path.write_text(json.dumps(whole)[:40])
    with pytest.raises(DataError, match=r"is damaged"):
        create_store(tmp_path / "s", new_header(teacher.contract))
