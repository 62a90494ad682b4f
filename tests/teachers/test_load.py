import socket
import subprocess
import sys
from importlib import resources

import pytest

from segdistill.data.labels import Structure
from segdistill.errors import ConfigError, DataError, EnvironmentFault, UnknownName
from segdistill.teachers import TeacherOptions, control_of, load_teacher, save_probe
from segdistill.teachers.load import BUILTIN, PREFIXES
from segdistill.teachers.sam_card import SamCard, config_to_card, save_sam
from segdistill.teachers.sam_probe import Fit, Lesson, fit_probe

RGB = ("red", "green", "blue")


def test_the_names_that_are_promised_are_there():
    published = {"sam-vit-b", "sam-vit-l", "sam-vit-h", "medsam", "cellsam", "medclip", "medsam2"}
    assert published | {"sam-tiny-tissue", "sam-tiny-tissue-control"} == set(BUILTIN)
    assert {"sam", "adapter", "onnx", "maps", "model", "blurred", "hf", "encoder"} == set(PREFIXES)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("sam-vit-hh", "sam-vit-h"),
        ("onx:a.onnx", "onnx:"),
        ("", "Known: cellsam, medclip, medsam"),
    ],
)
def test_an_unknown_name_comes_with_the_nearest(name, words):
    with pytest.raises(UnknownName, match=words):
        load_teacher(name)


def test_an_unknown_prompting_comes_with_the_nearest():
    with pytest.raises(UnknownName, match=r"Did you mean 'boxes'"):
        load_teacher("sam-tiny-tissue", prompting="box")


def test_everything_embedded_works_without_a_network(monkeypatch):
    def refuse(*_, **__):
        raise OSError("the network is off")

    monkeypatch.setattr(socket, "socket", refuse)
    assert load_teacher("sam-tiny-tissue").contract.outputs == ("cell", "cell.boundary")


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        (None, ("blank", "nucleus", "membrane")),
        (("DAPI", "E-cadherin"), ("blank", "DAPI", "E-cadherin")),
        (("blank", "DAPI", "actin"), ("blank", "DAPI", "actin")),
    ],
)
def test_the_embedded_teacher_takes_the_users_names(given, taken):
    assert load_teacher("sam-tiny-tissue", channels=given).contract.channels == taken


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("membrane", "nucleus"), r"membrane in the place of nucleus and nucleus in .*Give .* nucleus membrane;"),
        (("membrane", "DAPI"), r"membrane in the place of nucleus\. Give --teacher-channels DAPI membrane;"),
        (("DAPI", "nucleus"), r"order nucleus, membrane, but was given DAPI, nucleus.* nucleus DAPI;"),
        (("nucleus", "nucleus"), r"nucleus in the place of membrane\. Give --teacher-channels nucleus membrane;"),
        (("blank", "membrane", "nucleus"), r"order blank, nucleus, membrane, .* blank nucleus membrane;"),
    ],
)
def test_the_teachers_own_channels_in_another_order_are_refused(given, told):
    with pytest.raises(ConfigError, match=told):
        load_teacher("sam-tiny-tissue", channels=given)


def test_a_channel_of_zeros_may_stand_anywhere():
    assert load_teacher("sam-tiny-tissue", channels=("blank", "nucleus", "blank")).contract.channels[2] == "blank"


def test_the_control_sees_the_nucleus_alone():
    assert control_of("sam-tiny-tissue") == "sam-tiny-tissue-control"
    contract = load_teacher("sam-tiny-tissue-control", channels=("DAPI",)).contract
    assert contract.channels == ("blank", "DAPI", "blank")
    with pytest.raises(ConfigError, match=r"2 channels \(nucleus, membrane\).*1 \(DAPI\).*sam-tiny-tissue-control"):
        load_teacher("sam-tiny-tissue", channels=("DAPI",))


def test_both_embedded_files_stay_small():
    folder = resources.files("segdistill.teachers") / "embedded"
    sizes = [len(file.read_bytes()) for file in folder.iterdir() if file.name.endswith(".safetensors")]
    assert len(sizes) == 2
    assert sum(sizes) < 4 * 2**20


@pytest.mark.parametrize(
    ("channels", "taken"),
    [(("DAPI",), ("DAPI", "DAPI", "DAPI")), (("DAPI", "actin"), ("blank", "DAPI", "actin")), (RGB, RGB)],
)
def test_sam_takes_one_two_or_three_channels(sam_folder, channels, taken):
    contract = load_teacher(f"sam:{sam_folder}", channels=channels).contract
    assert contract.channels == taken
    assert (contract.prompting, contract.needs, contract.labels_seen) == ("grid", (), 0)
    assert (contract.size, contract.stride, contract.tile) == (64, 8, 128)
    assert contract.tokens == {"embedding": (8, 32), "hidden.1": (8, 32), "hidden.2": (8, 32)}


@pytest.mark.parametrize("channels", [(), ("a", "b", "c", "d"), None])
def test_sam_refuses_other_numbers_of_channels(sam_folder, channels):
    with pytest.raises(ConfigError, match=r"--teacher-channels"):
        load_teacher(f"sam:{sam_folder}", channels=channels)


def test_boxes_are_named_an_oracle(sam_folder):
    contract = load_teacher(f"sam:{sam_folder}", channels=RGB, prompting="boxes").contract
    assert contract.oracle
    assert contract.needs == ("labels",)
    assert contract.note.startswith("Oracle")
    assert contract.outputs == ("cell", "cell.boundary")


def test_untuned_weights_are_not_asked_without_a_prompt(sam_folder):
    with pytest.raises(ConfigError, match=r"would give noise.*grid"):
        load_teacher(f"sam:{sam_folder}", channels=RGB, prompting="tuned")


def test_a_grid_shows_one_structure(sam_folder):
    two = (Structure("cell", True), Structure("nucleus", True))
    with pytest.raises(ConfigError, match=r"there are 2 \(cell, nucleus\)"):
        load_teacher(f"sam:{sam_folder}", channels=RGB, structures=two)
    one = load_teacher(f"sam:{sam_folder}", channels=RGB, structures=[Structure("vessel", False)])
    assert one.contract.outputs == ("vessel",)


def test_boxes_need_instances(sam_folder):
    with pytest.raises(ConfigError, match=r"vessel has no instances"):
        load_teacher(f"sam:{sam_folder}", channels=RGB, prompting="boxes", structures=[Structure("vessel", False)])


def test_a_probe_counts_its_labels_and_changes_the_hash(sam, sam_folder, tmp_path, picture):
    plain = load_teacher(f"sam:{sam_folder}", channels=RGB)
    lessons = [Lesson(picture, picture[:1].round(), picture[0] > -1)]
    hash_of = plain.contract.weights_sha256
    probe = fit_probe(sam, lessons, outputs=("cell",), base_sha256=hash_of, fit=Fit(steps=1))
    save_probe(tmp_path / "probe.safetensors", probe)
    options = TeacherOptions(probe=tmp_path / "probe.safetensors")
    teacher = load_teacher(f"sam:{sam_folder}", channels=RGB, prompting="probe", options=options)
    assert teacher.contract.labels_seen == 1
    assert teacher.contract.prompting == "probe"
    assert teacher.contract.weights_sha256 != hash_of
    assert teacher.maps(picture).shape == (1, 40, 56)
    with pytest.raises(ConfigError, match=r"file of a fitted probe"):
        load_teacher(f"sam:{sam_folder}", channels=RGB, prompting="probe")


def test_a_tuned_file_says_what_it_gives(sam, tmp_path, picture):
    card = SamCard(
        config=config_to_card(sam.config),
        channels=("blank", "a", "b"),
        outputs=("x", "y"),
        labels_seen=7,
        licence="MIT",
    )
    save_sam(tmp_path / "tuned.safetensors", sam, card)
    teacher = load_teacher(f"sam:{tmp_path / 'tuned.safetensors'}")
    contract = teacher.contract
    assert (contract.prompting, contract.outputs, contract.labels_seen, contract.licence) == (
        "tuned",
        ("x", "y"),
        7,
        "MIT",
    )
    assert teacher.maps(picture).shape == (2, 40, 56)
    assert load_teacher(f"sam:{tmp_path / 'tuned.safetensors'}", prompting="grid").contract.prompting == "grid"


def test_a_card_of_a_later_format_is_refused(sam, tmp_path):
    card = SamCard(config={}, channels=("a",), outputs=("x",), labels_seen=0, licence="MIT").model_copy(
        update={"provenance": {}, "format": 2}
    )
    save_sam(tmp_path / "later.safetensors", sam, card)
    with pytest.raises(DataError, match=r"(?s)format.*Input should be 1.*reads format 1"):
        load_teacher(f"sam:{tmp_path / 'later.safetensors'}")


def test_weights_of_a_teacher_that_has_its_own_are_refused(tmp_path, sam_folder):
    with pytest.raises(ConfigError, match=r"carries its own weights"):
        load_teacher("sam-tiny-tissue", weights=tmp_path)
    with pytest.raises(ConfigError, match=r"names its weights itself"):
        load_teacher(f"sam:{sam_folder}", weights=tmp_path)


def test_missing_paths_are_told(tmp_path):
    with pytest.raises(EnvironmentFault, match=r"nowhere"):
        load_teacher("sam:nowhere", channels=RGB)
    for name in ("model:nowhere", "maps:nowhere", "onnx:nowhere.onnx", "adapter:nowhere"):
        with pytest.raises(ConfigError, match=r"nowhere"):  # a wrong setting, as a missing --data is
            load_teacher(name, channels=RGB)


def test_weights_that_are_not_the_named_teachers_are_refused(sam_folder):
    with pytest.raises(DataError, match=r"missing.*of another shape"):
        load_teacher("sam-vit-b", channels=RGB, weights=sam_folder)


@pytest.mark.parametrize("size", [96, 64])
def test_another_image_size_changes_the_contract(sam_folder, picture, size):
    teacher = load_teacher(f"sam:{sam_folder}", channels=RGB, options=TeacherOptions(size=size))
    assert teacher.contract.size == size
    assert teacher.tokens(picture, ("embedding",))["embedding"].shape[1] == size // 8


def test_bfloat16_is_close_to_float32(picture):
    full = load_teacher("sam-tiny-tissue").maps(picture)
    half = load_teacher("sam-tiny-tissue", options=TeacherOptions(precision="bfloat16"))
    assert half.contract.precision == "bfloat16"
    assert abs(half.maps(picture) - full).mean() < 0.02


def test_the_catalogue_lists_every_teacher_without_torch():
    code = (
        "import sys; from segdistill.teachers.catalogue import known_teachers;"
        "print(*[each.name.split(':')[0] for each in known_teachers()]); sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) >= {*BUILTIN, *PREFIXES}
