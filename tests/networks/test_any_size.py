import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from segdistill.errors import ShapeError
from segdistill.networks.any_size import AnySize


class Recorder(nn.Module):
    """A network that gives back its input and keeps it."""

    def forward(self, image):
        self.seen = image
        return image


@given(height=st.integers(1, 40), width=st.integers(1, 40), stride=st.sampled_from([1, 8, 32]))
def test_pixels_stay_where_they_are_whatever_the_size(height, width, stride):
    network = Recorder()
    image = torch.arange(2 * height * width, dtype=torch.float32).reshape(1, 2, height, width)
    assert torch.equal(AnySize(network, channels=2, stride=stride)(image), image)
    assert network.seen.shape[2] % stride == network.seen.shape[3] % stride == 0
    assert network.seen.shape[2] < height + stride
    assert network.seen.shape[3] < width + stride


def test_padding_repeats_the_last_row_and_column():
    network = Recorder()
    AnySize(network, channels=1, stride=4)(torch.tensor([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]]))
    expected = [[1, 2, 3, 3], [4, 5, 6, 6], [4, 5, 6, 6], [4, 5, 6, 6]]
    assert network.seen[0, 0].tolist() == expected


def test_another_number_of_channels_is_refused_with_both_numbers():
    with pytest.raises(ShapeError, match=r"takes 2 channels, but the image has 3"):
        AnySize(Recorder(), channels=2, stride=8)(torch.zeros(1, 3, 8, 9))


@pytest.mark.parametrize("shape", [(0, 5), (5, 0)])
def test_an_image_without_pixels_is_refused(shape):
    with pytest.raises(ShapeError, match=f"{shape[0]} × {shape[1]}"):
        AnySize(Recorder(), channels=1, stride=8)(torch.zeros(1, 1, *shape))
