"""A size and a precision are asked for where they change something, and refused where they would not."""

import json

import pytest

from segdistill.errors import ConfigError
from segdistill.settings import Distill, Pretrain, Synthesize, Targets, TeacherSpec, validated
from segdistill.settings.run_folder import refuse_others

DISTILL = {"data": "d", "out": "o", "teacher": "sam-vit-b", "teacher_channels": ["a", "b"], "student_channels": ["a"]}
TARGETS = {"data": "d", "out": "o", "teacher": "sam-vit-b", "teacher_channels": ["a", "b"]}
SPEC = {"teacher": "sam-vit-b", "channels": ["a", "b"]}
BOTH = {"teacher_size": 512, "teacher_precision": "bfloat16"}
LORA = {"how": "lora"}


def test_teacher_and_control_are_asked_alike():
    settings = validated(Distill, DISTILL | BOTH | {"control": "sam-vit-b"})
    assert [(spec.size, spec.precision) for spec in settings.teachers().values()] == [(512, "bfloat16")] * 2


def test_by_default_a_teacher_is_asked_as_it_was_made():
    for spec in validated(Distill, DISTILL | {"control": "sam-vit-b"}).teachers().values():
        assert (spec.size, spec.precision) == (None, "float32")


@pytest.mark.parametrize("kind", ["fit:unet-tiny", "model:m", "onnx:o.onnx", "maps:m", "blurred:2"])
@pytest.mark.parametrize(
    ("option", "words"), [({"size": 64}, "size 64"), ({"precision": "bfloat16"}, "precision bfloat16")]
)
def test_what_changes_nothing_is_refused_by_name(kind, option, words):
    ours = {f"teacher_{name}": value for name, value in option.items()}
    with pytest.raises(ConfigError, match=f"teacher_{words} is void with the teacher {kind}: "):
        validated(Distill, DISTILL | ours | {"teacher": kind})
    with pytest.raises(ConfigError, match=f"teacher_{words} is void with the teacher {kind}: "):
        validated(Distill, DISTILL | ours | {"control": kind})
    with pytest.raises(ConfigError, match=f"teacher_{words} is void with the teacher {kind}: "):
        validated(Targets, TARGETS | ours | {"teacher": kind})
    with pytest.raises(ConfigError, match=f" {words} is void with the teacher {kind}: "):
        validated(TeacherSpec, SPEC | option | {"teacher": kind})


@pytest.mark.parametrize("kind", ["sam-vit-b", "sam:f", "adapter:f", "hf:f", "a-plugin"])
def test_other_teachers_say_themselves_what_they_cannot_do(kind):
    assert validated(Targets, TARGETS | BOTH | {"teacher": kind}).first_teacher.size == 512


def test_a_sam_that_is_fitted_here_has_its_size_in_one_place():
    with pytest.raises(ConfigError, match=r"teacher_size is void with adapt: .*adapt\.size"):
        validated(Distill, DISTILL | {"teacher_size": 512, "adapt": LORA})
    with pytest.raises(ConfigError, match=r" size is void with adapt: "):
        validated(TeacherSpec, SPEC | {"size": 512, "adapt": LORA})
    with pytest.raises(ConfigError, match=r"adapt\.size is void with adapt\.how none.*teacher_size"):
        validated(Distill, DISTILL | {"adapt": {"how": "none", "size": 512}})
    assert validated(Distill, DISTILL | {"teacher_precision": "bfloat16", "adapt": LORA}).adapt is not None
    assert validated(Distill, DISTILL | {"teacher_size": 512, "adapt": {"how": "none"}}).first_teacher.size == 512


@pytest.mark.parametrize("wrong", [{"teacher_size": 0}, {"teacher_size": -16}, {"teacher_precision": "float16"}])
def test_what_no_network_has_is_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        validated(Targets, TARGETS | wrong)


def test_without_a_teacher_its_size_and_precision_are_void():
    pretrain = {"data": "d", "out": "o", "how": "masked", "student_channels": ["a"]}
    with pytest.raises(ConfigError, match="teacher_size, teacher_precision is void with how masked"):
        validated(Pretrain, pretrain | BOTH)
    synthesize = {"data": "d", "out": "o", "image_channels": ["a"]}
    with pytest.raises(ConfigError, match="teacher_size, teacher_precision is void without a teacher"):
        validated(Synthesize, synthesize | BOTH)


def test_a_teacher_of_before_it_had_a_size_is_the_same_teacher(tmp_path):
    spec = validated(TeacherSpec, SPEC).resolved()
    older = {name: value for name, value in spec.items() if name not in {"size", "precision"}}
    (tmp_path / "settings.json").write_text(json.dumps(older), encoding="utf-8")
    assert refuse_others(tmp_path, spec, defaults=TeacherSpec.defaults())
    other = validated(TeacherSpec, SPEC | {"size": 512}).resolved()
    with pytest.raises(ConfigError, match="size: None there, 512 here"):
        refuse_others(tmp_path, other, defaults=TeacherSpec.defaults())


@pytest.mark.parametrize("kind", ["maps:m", "blurred:2"])
def test_a_teacher_that_looks_at_no_image_needs_no_channels(kind):
    without = {name: value for name, value in DISTILL.items() if name != "teacher_channels"}
    (spec,) = validated(Distill, without | {"teacher": kind}).teachers().values()
    assert spec.channels == ()


@pytest.mark.parametrize("kind", ["sam-vit-b", "fit:unet-tiny", "model:m", "onnx:o.onnx"])
def test_any_other_teacher_without_channels_is_refused_by_name(kind):
    without = {name: value for name, value in DISTILL.items() if name != "teacher_channels"}
    with pytest.raises(ConfigError, match=f"teacher_channels must be given: the channels that {kind} sees"):
        validated(Distill, without | {"teacher": kind})
    with pytest.raises(ConfigError, match="channels must be given"):
        validated(TeacherSpec, {"teacher": kind})
