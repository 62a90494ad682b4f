"""Where parts of an image begin so that a network attends within the same windows as in the whole."""

import pytest
import torch

from segdistill.inference.maps import stride_of
from segdistill.inference.windows import plan_windows, usual_side
from segdistill.networks.build import build_student


@pytest.fixture(scope="module")
def swin():
    torch.manual_seed(0)
    return build_student("unet-swin-tiny", channels=1, outputs=1).eval()


@pytest.mark.parametrize(("name", "grid"), [("unet-tiny", 8), ("unet-resnet18", 32), ("unet-mobilenetv3", 32)])
def test_a_network_without_windows_begins_on_its_coarsest_grid(name, grid):
    network = build_student(name, channels=1, outputs=1)
    assert network.stride == network.grid == stride_of(network) == grid


def test_parts_begin_where_attention_windows_do(swin):
    assert (swin.stride, swin.grid, stride_of(swin)) == (32, 7 * 32, 7 * 32)
    side = usual_side(swin.grid)
    cuts = list(plan_windows((3000, 2500), side=side, halo=64, stride=swin.grid))
    assert all(span.start % (7 * 32) == 0 for cut in cuts for span in cut.read)
    kept = [(span.stop - span.start) for cut in cuts for span in cut.write]
    assert max(kept) >= side / 2  # half of what is computed is kept, and more


def test_scores_depend_ten_times_less_on_where_a_part_begins_than_off_the_grid(swin):
    image = torch.rand(1, 1, 672, 672, generator=torch.Generator().manual_seed(1))

    def moved(offset: int) -> float:
        inner = slice(224 + 112, 672 - 112)
        within = slice(inner.start - offset, inner.stop - offset)
        part = swin(image[..., offset:, offset:])
        return (whole[..., inner, inner] - part[..., within, within]).abs().mean().item()

    with torch.inference_mode():
        whole = swin(image)
        assert moved(224) < moved(192) / 10
        assert moved(224) < moved(96) / 10
