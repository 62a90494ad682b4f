import random

import pytest
import torch

from segdistill.errors import ConfigError, UnknownName
from segdistill.networks import BUILTIN, build_student, encoders, students
from segdistill.testing import check_student

SMALL = ("mobilenetv3", "mobilenetv2", "mnasnet", "lcnet", "resnet10", "regnety_002", "convnext_atto", "ghostnet")


@pytest.mark.parametrize("name", sorted(BUILTIN))
def test_every_named_student_keeps_the_contract(name):
    check_student(BUILTIN[name])


def test_a_few_encoders_of_the_list_still_keep_the_contract():
    small = [name for name in encoders() if name.startswith(SMALL)]
    assert len(small) >= 5
    for name in random.Random(0).sample(small, 3):
        check_student(students()[f"unet-{name}"])


def test_the_list_has_many_families_and_each_name_once():
    assert len(set(encoders())) == len(encoders()) >= 40
    assert {"resnet18", "convnext_tiny", "densenet121", "efficientnet_b0", "repvit_m0_9"} <= set(encoders())


def test_an_unknown_student_is_refused_with_the_nearest():
    with pytest.raises(UnknownName, match=r"no student called 'unet-resnet19'\. Did you mean 'unet-resnet1"):
        build_student("unet-resnet19", channels=1, outputs=1)


def test_of_many_students_the_nearest_are_told_and_where_the_others_are_listed():
    with pytest.raises(UnknownName) as caught:
        build_student("unet-resnet19", channels=1, outputs=1)
    message = str(caught.value)
    assert "unet-resnet18" in message.partition("Nearest of ")[2]
    assert "`segdistill models --all` lists them." in message
    assert message.count("unet-") <= 6
    with pytest.raises(UnknownName, match=r"called 'zzz'\. There are \d+\. `segdistill models --all`"):
        build_student("zzz", channels=1, outputs=1)


def test_an_encoder_that_timm_knows_but_that_fails_the_contract_is_refused():
    assert "levit_128" not in encoders()
    with pytest.raises(UnknownName, match="unet-levit_128"):
        build_student("unet-levit_128", channels=1, outputs=1)


@pytest.mark.parametrize(("channels", "outputs"), [(0, 1), (1, 0)])
def test_no_channels_or_no_outputs_are_refused(channels, outputs):
    with pytest.raises(ConfigError, match=f"asked for {channels} and {outputs}"):
        build_student("unet-tiny", channels=channels, outputs=outputs)


@pytest.mark.parametrize("name", ["unet-tiny", "unet-mobilenetv3"])
def test_weights_are_drawn_from_the_seed_the_caller_sets(name):
    states = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        states.append(
            torch.cat([p.detach().flatten() for p in build_student(name, channels=1, outputs=2).parameters()])
        )
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


@pytest.mark.parametrize("shape", [(1, 5000), (97, 1)])
def test_a_line_of_pixels_gets_scores(shape):
    student = build_student("unet-tiny", channels=1, outputs=2).eval()
    assert student(torch.rand(1, 1, *shape)).shape == (1, 2, *shape)


def test_the_tiny_student_is_the_same_function_in_training_and_in_use():
    # Without batch normalisation nothing may depend on the batch or on the mode.
    student = build_student("unet-tiny", channels=1, outputs=2)
    images = torch.rand(3, 1, 24, 40)
    alone = torch.cat([student.train()(image[None]) for image in images])
    torch.testing.assert_close(alone, student.eval()(images))
