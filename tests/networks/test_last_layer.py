import pytest
import torch
from torch import nn

from segdistill.errors import ConfigError
from segdistill.networks.build import build_student
from segdistill.networks.last_layer import WithFeatures, last_convolution, scores_and_features


@pytest.mark.parametrize(("name", "width"), [("unet-tiny", 8), ("unet-mobilenetv3", 16), ("unet-swin-tiny", 16)])
def test_scores_are_made_of_the_features(name, width):
    torch.manual_seed(0)
    student = build_student(name, channels=1, outputs=2).eval()
    image = torch.rand(2, 1, 43, 70)  # no multiples of any stride
    with torch.no_grad():
        scores, features = scores_and_features(student, image)
        assert torch.equal(scores, student(image))
        assert features.shape == (2, width, 43, 70)
        again = last_convolution(student)[1](features)
    # At its last row and column a 3 × 3 convolution saw what the image was padded with.
    torch.testing.assert_close(again[..., :-1, :-1], scores[..., :-1, :-1])


def test_features_come_in_training_alone_and_the_weights_are_the_students():
    student = build_student("unet-tiny", channels=1, outputs=2)
    both, image = WithFeatures(student), torch.rand(1, 1, 16, 24)
    assert both.train()(image).shape == (1, 10, 16, 24)
    assert both.eval()(image).shape == (1, 2, 16, 24)
    assert both.stride == student.stride
    assert {id(each) for each in both.parameters()} == {id(each) for each in student.parameters()}
    assert not last_convolution(student)[1]._forward_pre_hooks  # nothing stays behind, nothing is copied with it


def test_gradients_of_features_reach_the_layers_before():
    both = WithFeatures(build_student("unet-tiny", channels=1, outputs=2)).train()
    both(torch.rand(1, 1, 16, 24))[:, 2:].sum().backward()
    first = next(both.parameters())
    assert first.grad.abs().sum() > 0
    assert last_convolution(both)[1].weight.grad.abs().sum() == 0


class Coarse(nn.Module):
    """Scores that are magnified afterwards."""

    def __init__(self):
        super().__init__()
        self.head = nn.Conv2d(1, 2, 1)

    def forward(self, image):
        return nn.functional.interpolate(self.head(image[..., ::2, ::2]), scale_factor=2)


@pytest.mark.parametrize("network", [nn.Flatten(2), Coarse()])
def test_a_student_without_such_features_is_refused(network):
    with pytest.raises(ConfigError, match="do not come from features of the image's own size"):
        scores_and_features(network, torch.rand(1, 1, 8, 12))
