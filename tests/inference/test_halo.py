import numpy as np
import pytest
import torch
from torch import nn

from segdistill.data.image import Image
from segdistill.inference.halo import USUAL, measure_fast_halo, measure_halo, measure_reach
from segdistill.inference.windows import View
from segdistill.networks import build_student


def student(name):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build_student(name, channels=1, outputs=2).eval()


def view(array):
    unit = np.ones(1, np.float32)
    return View(Image(array[None].astype(np.float32), ("nucleus",), None, "a test"), ("nucleus",), 0 * unit, unit)


@pytest.mark.parametrize(
    ("layers", "reach"),
    [
        ([nn.Conv2d(1, 1, 1)], 0),
        ([nn.Conv2d(1, 1, 3, padding=1), nn.ReLU(), nn.Conv2d(1, 1, 5, padding=2)], 3),  # 1 + 2
        ([nn.Conv2d(1, 1, 3, padding=4, dilation=4)], 4),
        ([nn.Conv2d(1, 1, (1, 7), padding=(0, 3))], 3),  # along one axis only
        ([nn.Conv2d(1, 1, (7, 1), padding=(3, 0))], 3),
        ([nn.MaxPool2d(3, stride=1, padding=1)], 1),
    ],
)
def test_reach_by_hand(layers, reach):
    network = nn.Sequential(*layers)
    assert measure_reach(network, channels=1) == reach
    for weight in network.parameters():  # a network of zeros sees as far: its weights could be others
        nn.init.zeros_(weight)
    assert measure_reach(network, channels=1) == reach


def test_pooling_over_the_whole_image_and_reaches_beyond_the_limit_have_no_bound():
    class Squeeze(nn.Module):
        def forward(self, image):
            return image * torch.sigmoid(image.mean(dim=(2, 3), keepdim=True))

    assert measure_reach(Squeeze(), channels=1) is None
    wide = nn.Conv2d(1, 1, 41, padding=20)
    assert measure_reach(wide, channels=1, limit=20) == 20
    assert measure_reach(wide, channels=1, limit=19) is None


def test_reach_of_our_students():
    tiny = measure_reach(student("unet-tiny"), channels=1)
    assert tiny is not None
    assert 0 < tiny <= USUAL  # so the usual halo is exact
    assert measure_reach(student("unet-resnet18"), channels=1) == 287
    # Squeeze-excite, in these two, pools over the whole image.
    assert measure_reach(student("unet-mobilenetv3"), channels=1) is None
    assert measure_reach(student("unet-efficientnet-b0"), channels=1) is None


def test_the_fast_halo_is_the_smallest_that_agrees():
    # Foreground is where the mean over 41 × 41 px is above one half: in noise, about half of the pixels.
    network = nn.Conv2d(1, 1, 41, padding=20)
    nn.init.constant_(network.weight, 1.0)
    nn.init.constant_(network.bias, -0.5 * 41**2)
    array = np.random.default_rng(0).uniform(0, 1, (96, 224))
    halo, agreement = measure_fast_halo(network, [view(array)], outputs=1, tile=128, agreement=1.0)
    assert (halo, agreement) == (32, 1.0)  # the reach is 20, so 16 is too little
    halo, agreement = measure_fast_halo(network, [view(array)], outputs=1, tile=128, agreement=0.5)
    assert halo == 16
    assert agreement is not None
    assert 0.5 < agreement < 1


def test_where_nothing_is_larger_than_a_window_the_usual_halo_is_taken():
    network = nn.Conv2d(1, 1, 1)
    assert measure_fast_halo(network, [view(np.ones((60, 80)))], outputs=1, tile=128) == (USUAL, None)
    assert measure_fast_halo(network, [], outputs=1) == (USUAL, None)


class AboveMean(nn.Module):
    """Takes for foreground what is brighter than the mean of all that it is shown, as squeeze-excite might."""

    def forward(self, image):
        return image - image.mean(dim=(2, 3), keepdim=True)


def ramp(length):
    return np.broadcast_to(np.arange(length) / length, (32, length))


def test_where_images_fit_into_a_window_the_usual_halo_is_measured_in_smaller_ones():
    # Uncut, columns 128 to 255 are above the mean. Windows of 160 px, the smallest around a border of 64 px, begin at
    # 0, 32, 64 and 96; of them 80 to 95, 112 to 127, 144 to 159 and 176 to 255 are: 128 columns, 96 of them the same.
    found = measure_halo(AboveMean(), [view(ramp(256))], outputs=1, exact=None)
    assert found == {"exact": None, "fast": USUAL, "agreement": 2 * 96 / (128 + 128), "tile": 160}


def test_a_network_that_the_usual_halo_covers_agrees_in_smaller_windows():
    network = nn.Conv2d(1, 1, 41, padding=20)
    nn.init.constant_(network.weight, 1.0)
    nn.init.constant_(network.bias, -0.5 * 41**2)
    array = np.random.default_rng(0).uniform(0, 1, (96, 448))
    found = measure_halo(network, [view(array[:, :100]), view(array)], outputs=1, exact=None)
    assert found == {"exact": None, "fast": USUAL, "agreement": 1.0, "tile": 224}  # half of the largest


@pytest.mark.parametrize(("length", "tile"), [(160, None), (161, 160)])
def test_what_is_too_small_to_be_cut_is_not_measured(length, tile):
    found = measure_halo(nn.Conv2d(1, 1, 1), [view(ramp(length))], outputs=1, exact=None)
    assert (found["fast"], found["tile"]) == (USUAL, tile)
    assert (found["agreement"] is None) == (tile is None)


def test_larger_images_are_measured_in_windows_of_the_usual_size():
    found = measure_halo(nn.Conv2d(1, 1, 1), [view(ramp(600))], outputs=1, exact=None)
    assert found == {"exact": None, "fast": 16, "agreement": 1.0, "tile": 512}


def test_windows_as_large_as_what_is_looked_at_are_cut_all_the_same():
    # Uncut, the right half of a ramp is above its mean; of each of three windows, its own right half is.
    network = AboveMean()
    network.grid = 256  # as swinv2_tiny_window8_256 has it: windows of 1024 px
    found = measure_halo(network, [view(ramp(2048)[:1])], outputs=1, exact=None)
    assert found.get("tile") == 1024
    assert 0 < (found.get("agreement") or 0) < 0.9


@pytest.mark.parametrize(("length", "tile"), [(600, 512), (200, 96)])
def test_the_fast_halo_is_never_above_the_exact_one(length, tile):
    found = measure_halo(nn.Conv2d(1, 1, 3, padding=1), [view(ramp(length))], outputs=1, exact=1)
    assert found == {"exact": 1, "fast": 1, "agreement": 1.0, "tile": tile}


def test_without_validation_images_nothing_is_measured():
    found = measure_halo(AboveMean(), [], outputs=1, exact=None)
    assert found == {"exact": None, "fast": USUAL, "agreement": None, "tile": None}
