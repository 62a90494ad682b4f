"""Encoders that students begin with: what they owe is counted, test images they have seen are refused, arms compare."""

import csv
import json

import pytest
import torch
from study_usual import job, plan

from segdistill.data.datasets import read_dataset
from segdistill.data.normalisation import rule_to_json
from segdistill.data.pseudonyms import image_sha256
from segdistill.errors import ConfigError
from segdistill.networks import build_student, load_model
from segdistill.networks.card import HASH_DIGITS
from segdistill.networks.encoder_folder import EncoderCard, save_encoder
from segdistill.settings import Study, validated
from segdistill.study import conclude_study, distill, study
from segdistill.study.arms import RULE
from segdistill.study.encoder_start import encoder_start
from segdistill.study.preparation import prepare


def encoder_in(folder, *, student="unet-tiny", channels=("nucleus",), **facts):
    torch.manual_seed(9)
    network = build_student(student, channels=len(channels), outputs=1)
    card = EncoderCard(
        architecture=student, channels=channels, normalisation=rule_to_json(RULE), how="made up", **facts
    )
    save_encoder(folder, network.encoder, card)
    return folder


def test_a_study_compares_arms_that_begin_with_different_encoders(tissue, tmp_path):
    folder = encoder_in(tmp_path / "encoder", labels_used=7, licences=("teacher t: MIT",))
    arms = ({"name": "scratch"}, {"name": "begun", "encoder_weights": folder})
    settings = plan(tissue, tmp_path / "study", arms=arms, teachers={}, labels=(2,))
    account = conclude_study(settings, study(settings))
    with (tmp_path / "study" / "summary.csv").open(encoding="utf-8") as handle:
        rows = {row["arm"]: row for row in csv.DictReader(handle)}
    assert rows["scratch-2"]["role"] == "baseline"
    assert rows["begun-2"]["role"] == "pretrained"
    assert int(rows["begun-2"]["labels used"]) == int(rows["scratch-2"]["labels used"]) + 7
    (done,) = account.students.values()
    assert done.account["begun-2"].baseline == "scratch-2"
    assert "re-training" in done.verdict.sentences[0]
    card = load_model(tmp_path / "study" / "unet-tiny" / "arms" / "begun-2" / "0" / "model").card
    assert card.provenance["encoder_weights_sha256"] == encoder_start(folder).sha256
    assert "teacher t: MIT" in card.licences
    assert "Its encoder was pre-trained: made up." in card.notes
    again = study(settings)
    assert not again.missing


def test_a_study_begun_before_arms_had_encoders_goes_on(tissue, tmp_path):
    settings = plan(tissue, tmp_path / "study", arms=({"name": "scratch"},), teachers={}, labels=(2,))
    study(settings)
    records = [tmp_path / "study" / "settings.json"]
    records += (tmp_path / "study" / "unet-tiny" / "arms" / "scratch-2").rglob("settings.json")
    for record in records:
        values = json.loads(record.read_text(encoding="utf-8"))
        for part in (values["protocol"], values.get("arm", {}), *values.get("arms", [])):
            part.pop("layer_decay", None)
        for part in (values.get("arm", {}), *values.get("arms", [])):
            part.pop("encoder_weights", None)
        record.write_text(json.dumps(values), encoding="utf-8")
    assert not study(settings).missing


def test_an_encoder_that_has_seen_test_images_is_refused(tissue, tmp_path):
    settings = job(tissue, tmp_path / "run")
    split = prepare(settings, notice=lambda _: None).split
    cases = {case.name: image_sha256(case) for case in read_dataset(tissue, label_kind="instances").cases}
    for number, seen in enumerate(("images", "labelled")):
        folder = encoder_in(tmp_path / f"encoder{number}", **{seen: (cases[split["test"][0]],)})
        protocol = {**settings.protocol.model_dump(), "encoder_weights": folder}
        with pytest.raises(ConfigError, match=r"trained on 1 of the test images"):
            distill(job(tissue, tmp_path / f"run{number}", protocol=protocol))
        assert not list((tmp_path / f"run{number}").rglob("*.ckpt"))


def test_an_encoder_whose_teacher_keeps_the_beginnings_of_hashes_is_refused_by_them(tissue, tmp_path):
    settings = job(tissue, tmp_path / "run")
    tested = prepare(settings, notice=lambda _: None).split["test"][0]
    cases = {case.name: image_sha256(case) for case in read_dataset(tissue, label_kind="instances").cases}
    folder = encoder_in(tmp_path / "encoder", labelled=(cases[tested][:HASH_DIGITS],), labels_used=None)
    assert encoder_start(folder).labels_used is None  # nobody stated it: not none
    protocol = {**settings.protocol.model_dump(), "encoder_weights": folder}
    with pytest.raises(ConfigError, match=r"trained on 1 of the test images"):
        distill(job(tissue, tmp_path / "run", protocol=protocol))


def test_an_encoder_of_another_student_or_of_other_channels_is_refused_before_anything_is_trained(tissue, tmp_path):
    usual = job(tissue, tmp_path / "run").protocol.model_dump()
    other = encoder_in(tmp_path / "other", student="unet-mobilenetv3")
    with pytest.raises(ConfigError, match=r"it is that of unet-mobilenetv3, but the student is unet-tiny"):
        distill(job(tissue, tmp_path / "a", protocol={**usual, "encoder_weights": other}))
    two = encoder_in(tmp_path / "two", channels=("nucleus", "membrane"))
    with pytest.raises(ConfigError, match=r"it sees nucleus, membrane, but the student sees nucleus"):
        distill(job(tissue, tmp_path / "b", protocol={**usual, "encoder_weights": two}))


def test_an_arm_cannot_begin_with_two_things(tmp_path):
    usual = {"data": "d", "out": "o", "student_channels": ("a",)}
    begun = {"name": "b", "encoder_weights": "e"}
    with pytest.raises(ConfigError, match="which the whole model at start would replace"):
        validated(Study, {**usual, "arms": ({"name": "a"}, begun), "from": "model"})
    twice = {**begun, "protocol": {"encoder_weights": "f"}, "why": "so"}
    with pytest.raises(ConfigError, match="has encoder_weights twice"):
        validated(Study, {**usual, "arms": ({"name": "a"}, twice)})


def test_published_weights_say_that_they_do_not_know_their_heads(tmp_path):
    (tmp_path / "weights.safetensors").write_bytes(b"x")
    start = encoder_start(tmp_path / "weights.safetensors")
    assert start.labels_used == 0
    assert "MAE-Lite's with 12, timm's with 3" in start.notes("vit-tiny")[0]
    assert start.notes("unet-resnet18") == ()
    assert encoder_start(None) is None
