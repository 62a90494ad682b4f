"""An encoder on disk: what is read is what was written, students of other encoders are refused, damage is named."""

import json

import pytest
import torch

from segdistill.data.normalisation import PercentileRule, rule_to_json
from segdistill.errors import ConfigError, DataError
from segdistill.networks.build import build_student, same_encoder
from segdistill.networks.encoder_folder import (
    EncoderCard,
    TaughtBy,
    is_encoder,
    load_encoder_folder,
    read_encoder,
    save_encoder,
)
from segdistill.networks.tokens import build_token_encoder

TEACHER = TaughtBy(
    name="hf:a|b", weights_sha256="0" * 64, licence="mit", size=28, stride=14, width=16, parameters=58064,
    times_smaller=2.0, labels_seen=None,
)  # fmt: skip


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(1)
    encoder = build_token_encoder("unet-tiny", channels=1)
    card = EncoderCard(
        architecture="unet-tiny", channels=("gray",), normalisation=rule_to_json(PercentileRule()), how="agglomeration",
        teachers=(TEACHER,), licences=("teacher hf:a|b: mit",), notes=("a note\nof two lines",),
    )  # fmt: skip
    return tmp_path / "encoder", encoder, save_encoder(tmp_path / "encoder", encoder.encoder, card)


def test_a_student_has_the_encoder_that_was_written_and_its_own_decoder(saved):
    folder, encoder, card = saved
    student = build_student("unet-tiny", channels=1, outputs=2)
    before = {name: value.clone() for name, value in student.state_dict().items()}
    load_encoder_folder(student, ("unet-tiny",), folder)
    for name, value in student.state_dict().items():
        inside = name.removeprefix("network.encoder.")
        assert torch.equal(value, encoder.encoder.state_dict().get(inside, before[name]))
    assert is_encoder(folder)
    assert read_encoder(folder) == card
    assert card.parameters == sum(value.numel() for value in encoder.parameters())
    assert card.licences == ("teacher hf:a|b: mit",)
    page = (folder / "README.md").read_text(encoding="utf-8")
    assert "| hf:a/b | mit | 58,064 | 2.0 |" in page
    assert "- a note of two lines" in page


def test_other_encoders_and_channels_are_refused(saved):
    folder, _, _ = saved
    with pytest.raises(ConfigError, match="holds the encoder of unet-tiny, but the student is unet-resnet18"):
        build_student("unet-resnet18", channels=1, outputs=1, encoder_weights=folder)
    with pytest.raises(ConfigError, match=r"sees 1 channels \(gray\), but the student sees 3"):
        build_student("unet-tiny", channels=3, outputs=1, encoder_weights=folder)


def test_a_student_of_another_name_and_the_same_encoder_may_begin_with_it(tmp_path):
    torch.manual_seed(1)
    student = build_student("unet-mobilenetv3", channels=1, outputs=1)
    card = EncoderCard(architecture="unet-mobilenetv3", channels=("gray",), normalisation={}, how="made up")
    save_encoder(tmp_path, student.encoder, card)
    other = build_student("unet-mobilenetv3_small_100", channels=1, outputs=3, encoder_weights=tmp_path)
    for one, two in zip(student.encoder.state_dict().values(), other.encoder.state_dict().values(), strict=True):
        assert torch.equal(one, two)


def test_short_names_stand_for_timm_names():
    assert same_encoder("unet-efficientnet-b0", "unet-efficientnet_b0")
    assert not same_encoder("unet-resnet18", "unet-resnet34")
    assert same_encoder("plugin-student", "plugin-student")


def test_damage_is_named(saved):
    folder, _, _ = saved
    student = build_student("unet-tiny", channels=1, outputs=2)
    card = json.loads((folder / "encoder.json").read_text(encoding="utf-8"))
    (folder / "encoder.json").write_text(json.dumps(card | {"weights_sha256": "1" * 64}), encoding="utf-8")
    with pytest.raises(DataError, match="is not what its card describes"):
        load_encoder_folder(student, ("unet-tiny",), folder)
    (folder / "encoder.json").write_text(json.dumps(card | {"format": 2}), encoding="utf-8")
    with pytest.raises(DataError, match="no card of format 1"):
        read_encoder(folder)
    (folder / "encoder.json").write_text(json.dumps(card | {"teachers": [{}]}), encoding="utf-8")
    with pytest.raises(DataError, match="no card of format 1"):
        read_encoder(folder)
    (folder / "encoder.json").unlink()
    with pytest.raises(DataError, match="holds no whole encoder"):
        read_encoder(folder)
