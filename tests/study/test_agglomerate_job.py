"""`agglomerate` from end to end: killed it goes on to the same bits, students begin with it, faults are told."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file
from study_usual import job

from segdistill.data.datasets import read_dataset
from segdistill.data.labels import Structure
from segdistill.data.normalisation import rule_to_json
from segdistill.data.pseudonyms import image_sha256
from segdistill.engine import read_log
from segdistill.errors import ConfigError, UnknownName
from segdistill.networks.build import build_student
from segdistill.networks.card import HASH_DIGITS, ModelCard
from segdistill.networks.model import Model, save_model
from segdistill.settings import Agglomerate, Protocol, validated
from segdistill.study import agglomerate_job
from segdistill.study.agglomerate_job import agglomerate
from segdistill.study.arms import RULE
from segdistill.study.main_job import distill
from segdistill.study.preparation import prepare
from segdistill.study.token_stores import load_encoder_teacher, short_names
from segdistill.targets import open_store
from segdistill.teachers.hf import HfTeacher

SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
PROGRAM = """
import os, signal, sys
from segdistill import cli
from segdistill.training.agglomerating import AgglomeratingProblem
collate = AgglomeratingProblem.collate
def dying(self, samples, step, device):
    if step == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return collate(self, samples, step, device)
AgglomeratingProblem.collate = dying
cli.main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def encoders(tmp_path_factory):
    """Two tiny vision encoders in the hub's layout, of unlike grids and widths."""
    root = tmp_path_factory.mktemp("encoders")
    torch.manual_seed(0)
    made = {
        "dino": transformers.Dinov2Model(transformers.Dinov2Config(**SMALL, image_size=28, patch_size=14)),
        "vit": transformers.ViTModel(
            transformers.ViTConfig(**SMALL | {"hidden_size": 24}, intermediate_size=32, image_size=32, patch_size=8)
        ),
    }
    for name, model in made.items():
        model.eval().save_pretrained(root / name)
        said = {"image_mean": [0.5] * 3, "image_std": [0.25] * 3, "rescale_factor": 1 / 255, "do_normalize": True}
        (root / name / "preprocessor_config.json").write_text(json.dumps(said))
        (root / name / "README.md").write_text("---\nlicense: mit\n---\n")
    return root


@pytest.fixture(autouse=True)
def one_thread():
    """Bits are equal for equal numbers of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def settings_of(tissue, encoders, out, **changes):
    usual = {
        "data": tissue,
        "out": out,
        "label_sets": ("cell",),
        "label_kind": "instances",
        "split": (0.5, 0.25, 0.25),
        "teachers": (f"hf:{encoders}/dino", f"hf:{encoders}/vit"),
        "teacher_channels": ("nucleus",),
        "student": "unet-tiny",
        "student_channels": ("nucleus",),
        "protocol": {"steps": 8, "batch_size": 2, "size": 32, "validations": 2},
        "device": "cpu",
    }
    return validated(Agglomerate, usual | changes)


def untimed(folder):
    return [
        {key: value for key, value in line.items() if key not in {"images_per_s", "data_wait"}}
        for line in read_log(folder / "fit")
    ]


@pytest.fixture(scope="module")
def made(tissue, encoders, tmp_path_factory):
    """A finished run with learnt shares, and what was told."""
    told = []
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("runs") / "whole"
    settings = settings_of(tissue, encoders, folder, balancing="mlp", views=2)
    return agglomerate(settings, notice=told.append), told, settings


def test_killed_it_goes_on_and_ends_with_the_same_bits(made, tissue, encoders, tmp_path):
    whole, _, _ = made
    killed = tmp_path / "killed"
    words = ["--data", tissue, "--out", killed, "--label-sets", "cell", "--label-kind", "instances"]
    words += ["--split", "0.5", "0.25", "0.25", "--teachers", f"hf:{encoders}/dino", f"hf:{encoders}/vit"]
    words += ["--teacher-channels", "nucleus", "--student", "unet-tiny", "--student-channels", "nucleus"]
    words += ["--protocol.steps", 8, "--protocol.batch-size", 2, "--protocol.size", 32, "--protocol.validations", 2]
    words += ["--balancing", "mlp", "--views", 2, "--device", "cpu"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "agglomerate", *map(str, words)], check=False, env=environment, timeout=500
    )
    assert done.returncode == -signal.SIGKILL
    assert not (killed / "agglomeration.json").exists()
    told = []
    again = agglomerate(settings_of(tissue, encoders, killed, balancing="mlp", views=2), notice=told.append)
    assert any("going on after step 5 of 8" in line for line in told)
    assert not any("images to do" in line for line in told)  # every token had been stored
    assert (again.folder / "encoder.safetensors").read_bytes() == (whole.folder / "encoder.safetensors").read_bytes()
    assert again.account["teachers"] == [
        {**each, "name": other["name"]} for each, other in zip(whole.account["teachers"], again.account["teachers"],
                                                                strict=True)
    ]  # fmt: skip
    assert untimed(killed) == untimed(whole.folder.parent)
    told.clear()
    assert agglomerate(settings_of(tissue, encoders, killed, balancing="mlp", views=2), notice=told.append) == again
    assert told == []  # done before: nothing is done


def test_what_is_kept_says_whose_it_is_and_how_well_it_says_it(made):
    result, told, _ = made
    card, run = result.card, result.folder.parent
    assert card.architecture == "unet-tiny"
    assert [(each.licence, each.stride, each.width, each.size) for each in card.teachers] == [
        ("mit", 14, 16, 28), ("mit", 8, 24, 32)
    ]  # fmt: skip
    for each in card.teachers:
        assert each.times_smaller == pytest.approx(each.parameters / card.parameters)
    assert card.licences[0].endswith("dino: mit")
    page = (result.folder / "README.md").read_text(encoding="utf-8")
    assert "| mit |" in page
    assert any("times as large" in line for line in told)
    for each in result.account["teachers"]:
        looks = {"heads_untrained", "heads_trained", "linear_map_of_random_encoder", "linear_map_of_encoder"}
        assert looks <= set(each)
        assert all(-1 <= each[look]["cosine"] <= 1 <= each[look]["tokens"] for look in looks)
        assert each["failed"] == {}
    shares = result.account["shares"]
    assert [line["step"] for line in shares] == list(range(1, 9))
    assert all(line["dino"] + line["vit"] == pytest.approx(1) for line in shares)
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    assert set(record["licences"].values()) == {"mit"}
    assert len(record["images"]) == 8
    # Test images are none of its business: no teacher was shown them.
    for place in (run / "targets").iterdir():
        described = set(open_store(place).described())
        assert described == {*record["split"]["train"], *record["split"]["validation"]}
        assert len(open_store(place).header.views) == 2


def test_a_student_begins_with_it_and_its_decoder_as_without(made, tissue, tmp_path):
    result, _, _ = made
    still = Protocol(
        steps=1, batch_size=2, crop=32, validations=1, learning_rate=1e-12, weight_decay=0, ema=0,
        encoder_weights=result.folder,
    )  # fmt: skip
    told = []
    finished = distill(job(tissue, tmp_path / "run", protocol=still), notice=told.append)
    state = load_file(finished.model / "model.safetensors")
    encoder = load_file(result.folder / "encoder.safetensors")
    torch.manual_seed(0)
    fresh = build_student("unet-tiny", channels=1, outputs=2).state_dict()
    for name, value in state.items():
        inside = name.removeprefix("network.encoder.")
        wanted = encoder[inside] if inside in encoder else fresh[name]
        np.testing.assert_allclose(value, wanted, atol=1e-6)
    card = json.loads((finished.model / "model.json").read_text(encoding="utf-8"))
    assert card["provenance"]["encoder_weights_sha256"] == result.card.weights_sha256
    assert any(licence.endswith("dino: mit") for licence in card["licences"])


def test_another_encoder_or_channels_and_another_way_to_name_it_are_refused(made, tissue, tmp_path):
    result, _, _ = made
    begun = Protocol(steps=1, batch_size=2, crop=32, validations=1, encoder_weights=result.folder)
    with pytest.raises(ConfigError, match="it is that of unet-tiny, but the student is unet-resnet18"):
        distill(job(tissue, tmp_path / "a", student="unet-resnet18", protocol=begun))
    with pytest.raises(ConfigError, match="it sees nucleus, but the student sees nucleus, membrane"):
        distill(job(tissue, tmp_path / "b", student_channels=("nucleus", "membrane"), protocol=begun))
    with pytest.raises(ConfigError, match=r"by itself, not a model\. Name it with --protocol\.encoder-weights"):
        distill(job(tissue, tmp_path / "c", start=result.folder))
    hashes = {image_sha256(case) for case in read_dataset(tissue, label_kind="instances").cases}
    assert set(result.card.images) < hashes  # test images are not among them


def test_stores_of_targets_are_used_and_what_fails_is_listed(tissue, encoders, tmp_path, made):
    whole, _, _ = made
    told = []
    shared = whole.folder.parent / "targets"
    agglomerate(
        settings_of(tissue, encoders, tmp_path / "again", targets=shared, views=2, standardisation="channel"),
        notice=told.append,
    )
    assert not (tmp_path / "again" / "targets").exists()
    assert not any("images to do" in line for line in told)


def test_a_probe_compares_encoders_with_random_weights(tissue, encoders, tmp_path):
    result = agglomerate(settings_of(tissue, encoders, tmp_path / "run", probe=True, terms=("token_cosine", "gram")))
    found = result.account["probe"]
    assert set(found) == {"dino", "dino, random", "vit", "vit, random", "student, random", "student"}
    assert all(0 <= scores["score"] <= 1 and set(scores) == {"cell", "score"} for scores in found.values())


def test_a_teacher_that_fails_on_an_image_loses_it_alone_and_a_lost_one_is_named(
    tissue, encoders, tmp_path, monkeypatch
):
    tokens, asked = HfTeacher.tokens, []

    def failing(self, image, names):
        asked.append(self.contract.name)
        if len(asked) == 2:
            raise RuntimeError("no convergence")
        return tokens(self, image, names)

    history = [{"step": 5 * n, "weights": {"alpha_dino": 0.9 if n else 0.5, "alpha_vit": 1e-4}} for n in range(20)]
    monkeypatch.setattr(HfTeacher, "tokens", failing)
    monkeypatch.setattr(agglomerate_job, "read_log", lambda _: history)
    told = []
    brief = {"steps": 1, "batch_size": 2, "size": 32, "validations": 1}
    settings = settings_of(tissue, encoders, tmp_path / "run", protocol=brief, balancing="attention")
    result = agglomerate(settings, notice=told.append)
    first, second = result.account["teachers"]
    assert list(first["failed"].values()) == ["RuntimeError: no convergence"]
    assert second["failed"] == {}
    assert [each.failed_on for each in result.card.teachers] == [1, 0]
    (lost,) = result.account["collapsed"]
    assert (lost["teacher"], lost["since"]) == ("vit", 0)
    assert lost["sentence"] in told
    assert any("failed" in line and "5 images described now, 0 before, 1 failed" in line for line in told)


def test_what_cannot_be_done_is_refused(tissue, encoders, tmp_path):
    with pytest.raises(UnknownName, match="no student called 'unet-resnet19'"):
        agglomerate(settings_of(tissue, encoders, tmp_path / "a", student="unet-resnet19"))
    with pytest.raises(ConfigError, match=r"blurred:2' gives no tokens. Its contract: channels none; maps cell"):
        agglomerate(settings_of(tissue, encoders, tmp_path / "b", teachers=("blurred:2",)))
    with pytest.raises(ConfigError, match=r"no multiple of its stride of 8. Choose a size such as 32"):
        agglomerate(settings_of(tissue, encoders, tmp_path / "c", protocol={"steps": 1, "size": 36}))
    with pytest.raises(ConfigError, match="takes one, two or three channels, but was given 4"):
        agglomerate(settings_of(tissue, encoders, tmp_path / "d", teacher_channels=("nucleus",) * 4))
    with pytest.raises(ConfigError, match="begun with other settings"):
        agglomerate(settings_of(tissue, encoders, tmp_path / "c", seed=4))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"teachers": []}, "teachers"),
        ({"teachers": ["medsam", "medsam"]}, "teachers names one twice"),
        ({"teacher_weights": {"sam": "x"}}, "teacher_weights names sam, which is none of the teachers"),
        ({"teacher_sizes": {"sam": 64}}, "teacher_sizes names sam, which is none of the teachers"),
        ({"teacher_precisions": {"sam": "bfloat16"}}, "teacher_precisions names sam, which is none of the teachers"),
        ({"teacher_sizes": {"medsam": "wide"}}, "sizes are whole numbers of pixels from 1, but 'wide' is none"),
        ({"teacher_sizes": {"medsam": 0}}, "sizes are whole numbers of pixels from 1, but '0' is none"),
        (
            {"teachers": ["model:m"], "teacher_sizes": {"model:m": 64}},
            "teacher_size 64 is void",
        ),
        ({"terms": ["gram"]}, "terms names gram alone"),
        ({"balancing": "fixed"}, "shares belongs to balancing fixed"),
        ({"shares": [1, 2]}, "shares belongs to balancing fixed"),
        ({"balancing": "fixed", "shares": [1, 2]}, "shares has 2 numbers, but there are 1 teachers"),
        ({"floor": 0.2}, "floor is void with balancing uniform"),
        ({"turned_views": False}, "turned_views is void with one view"),
        ({"standardisation": "phis"}, "standardisation"),
    ],
)
def test_settings_that_would_do_nothing_are_refused(changes, words):
    plain = {
        "data": "d", "out": "o", "teachers": ["medsam"], "teacher_channels": ["a"], "student": "unet-tiny",
        "student_channels": ["a"],
    }  # fmt: skip
    with pytest.raises(ConfigError, match=words):
        validated(Agglomerate, plain | changes)


def test_each_teacher_is_asked_at_its_own_size_and_precision(tissue, encoders, tmp_path):
    dino, vit = (f"hf:{encoders / name}" for name in ("dino", "vit"))
    asked = {"teachers": (dino, vit), "teacher_sizes": {dino: 42}, "teacher_precisions": {dino: "bfloat16"}}
    settings = settings_of(tissue, encoders, tmp_path / "run", **asked)
    found = [load_encoder_teacher(settings, name, device="cpu").contract for name in settings.teachers]
    assert [(each.size, each.precision) for each in found] == [(42, "bfloat16"), (32, "float32")]


def test_short_names_have_no_dots_and_are_different():
    names = short_names(["hf:a/medclip.v1", "hf:b/medclip.v1", "hf:org/x", "medsam"])
    assert list(names.values()) == ["medclip-v1", "medclip-v1-2", "x", "medsam"]


def test_of_encoders_that_teach_it_is_kept_which_images_they_had_seen(made, tissue, tmp_path):
    first, _, _ = made
    settings = settings_of(tissue, tmp_path, tmp_path / "next", teachers=(f"encoder:{first.folder}",))
    card = agglomerate(settings).card
    assert card.teachers[0].licence == "; ".join(first.card.licences)
    assert set(first.card.images) <= set(card.images)


def test_an_encoder_of_a_model_that_learnt_from_test_images_is_nothing_to_be_scored_on_them(tissue, encoders, tmp_path):
    """A chain of three: labels of a test image, a model that learnt them, an encoder that learnt from the model."""
    settings = settings_of(tissue, encoders, tmp_path / "run")
    tested = prepare(settings, notice=lambda _: None, tested=False).split["test"][0]
    (case,) = [each for each in read_dataset(tissue, label_kind="instances").cases if each.name == tested]
    card = ModelCard(
        architecture="unet-tiny",
        channels=("nucleus",),
        normalisation=rule_to_json(RULE),
        structures=(Structure("cell", instances=True),),
        crop=64,
        learnt_from=(image_sha256(case)[:HASH_DIGITS],),
    )
    save_model(tmp_path / "model", Model(build_student("unet-tiny", channels=1, outputs=2), card))
    changes = {"teachers": (f"model:{tmp_path / 'model'}",)}
    with pytest.raises(ConfigError, match="was fitted on the labels of 1 of the test images"):
        agglomerate(settings_of(tissue, encoders, tmp_path / "probed", probe=True, **changes))
    made = agglomerate(settings_of(tissue, encoders, tmp_path / "run", **changes))
    assert made.card.labelled == card.learnt_from
    protocol = {"steps": 2, "batch_size": 2, "crop": 32, "validations": 1, "encoder_weights": made.folder}
    with pytest.raises(ConfigError, match="trained on 1 of the test images"):
        distill(job(tissue, tmp_path / "student", protocol=protocol))
