import pytest
import torch
from torch import nn

from segdistill.errors import ConfigError
from segdistill.networks.build import build_student
from segdistill.networks.stain_head import WithStains, cut_outputs


@pytest.mark.parametrize("name", ["unet-tiny", "unet-mobilenetv3", "unet-swin-tiny"])
def test_what_is_left_says_what_it_said_before(name):
    torch.manual_seed(0)
    student = WithStains(build_student(name, channels=1, outputs=5), 2)
    image = torch.rand(1, 1, 64, 64)
    assert student.train()(torch.rand(2, 1, 64, 64)).shape[1] == 5
    student.eval()
    with torch.no_grad():
        before = student(image)
        assert before.shape[1] == 2
        whole = {name: value.clone() for name, value in student.state_dict().items()}
        own = student.own()  # cuts the network itself
        weights = own.state_dict()
        assert weights
        for key, weight in weights.items():  # what is kept is kept to the bit
            (kept,) = [value for name, value in whole.items() if name == key or name.endswith(f".{key}")]
            assert torch.equal(weight, kept[: len(weight)] if weight.ndim else kept)
        # A convolution of fewer outputs may round otherwise: by 5e-9 with AVX-512, not at all with AVX2.
        torch.testing.assert_close(own(image), before, rtol=0, atol=1e-6)
    fresh = build_student(name, channels=1, outputs=2)
    fresh.load_state_dict(student.network.state_dict())


def test_what_cannot_be_cut_is_refused():
    for network in (nn.Linear(2, 3), nn.Conv2d(1, 2, 1)):
        with pytest.raises(ConfigError, match="is no convolution of more than 2 outputs"):
            cut_outputs(network, 2)
