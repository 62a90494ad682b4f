"""The same weights in the authors' package and here give the same answers."""

import numpy as np
import pytest
import torch

from segdistill.teachers.sam import encode
from segdistill.teachers.sam_image import place, to_square
from segdistill.teachers.sam_layout import from_original_layout, with_shared_positions
from segdistill.teachers.sam_prompts import boxes
from segdistill.teachers.sam_weights import build_sam

modeling = pytest.importorskip("segment_anything.modeling", reason="the authors' package is an extra of the tests")


@pytest.fixture(scope="module")
def theirs(config, randomise):
    vision, decoder = config.vision_config, config.mask_decoder_config
    width, cells = vision.output_channels, vision.image_size // vision.patch_size
    sam = modeling.Sam(
        image_encoder=modeling.ImageEncoderViT(
            img_size=vision.image_size,
            patch_size=vision.patch_size,
            embed_dim=vision.hidden_size,
            depth=vision.num_hidden_layers,
            num_heads=vision.num_attention_heads,
            mlp_ratio=4,
            out_chans=width,
            norm_layer=lambda size: torch.nn.LayerNorm(size, eps=1e-6),
            use_rel_pos=True,
            window_size=vision.window_size,
            global_attn_indexes=tuple(vision.global_attn_indexes),
        ),
        prompt_encoder=modeling.PromptEncoder(
            embed_dim=width,
            image_embedding_size=(cells, cells),
            input_image_size=(vision.image_size, vision.image_size),
            mask_in_chans=16,
        ),
        mask_decoder=modeling.MaskDecoder(
            transformer_dim=width,
            transformer=modeling.TwoWayTransformer(
                depth=2, embedding_dim=width, mlp_dim=decoder.mlp_dim, num_heads=decoder.num_attention_heads
            ),
            num_multimask_outputs=3,
            iou_head_hidden_dim=decoder.iou_head_hidden_dim,
        ),
    ).eval()
    randomise(sam.state_dict())
    return sam


@pytest.fixture(scope="module")
def ours(theirs, config):
    state = with_shared_positions(from_original_layout(theirs.state_dict()))
    return build_sam(config, state, size=None, source="the authors' package")


@pytest.fixture
def answer(theirs, picture):
    """What the authors' code says about prompts in its own coordinates."""

    def ask(several, **prompts):
        square = place((40, 56), 64)
        scaled = torch.nn.functional.interpolate(
            torch.from_numpy(picture)[None] * 255, square.scaled, mode="bilinear", antialias=True
        )[0]
        record = {"image": scaled, "original_size": (40, 56), **prompts}
        said = theirs([record], multimask_output=several)[0]
        masks = theirs.postprocess_masks(said["low_res_logits"], square.scaled, (40, 56))
        return said["low_res_logits"], said["iou_predictions"], masks

    return ask


def test_embeddings_are_equal(theirs, ours, picture):
    square = place((40, 56), 64)
    with torch.no_grad():
        wanted = theirs.image_encoder(to_square(torch.from_numpy(picture), square))
    found = encode(ours, picture).embedding
    assert wanted.abs().max() > 0.5  # else nothing would be compared
    assert torch.allclose(found, wanted, atol=1e-4)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("several", [True, False])
def test_masks_of_points_are_equal(ours, answer, picture, count, several):
    points = torch.tensor([[9.0, 4.0], [30.5, 20.25], [60.0, 44.0]])[:count]
    low, ious, _ = answer(several, point_coords=points[:, None], point_labels=torch.ones(count, 1, dtype=torch.int))
    found, predicted = encode(ours, picture).decode(several=several, input_points=points[None, :, None])
    assert found.shape == (count, 3 if several else 1, 32, 32)
    assert low.abs().max() > 0.5
    assert torch.allclose(found, low, atol=1e-4)
    assert torch.allclose(predicted, ious, atol=1e-4)


@pytest.mark.parametrize("count", [1, 3])
def test_masks_of_boxes_are_equal_on_the_images_own_grid(ours, answer, picture, count):
    frames = [(2, 20, 3, 12), (5, 39, 30, 52), (25, 36, 8, 26)][:count]
    labels = np.zeros((40, 56), np.int32)
    for number, (top, bottom, left, right) in enumerate(frames, start=1):
        labels[top : bottom + 1, left : right + 1] = number
    scale = 64 / 56
    xyxy = torch.tensor([[left, top, right, bottom] for top, bottom, left, right in frames]).float()
    # The scaled height is rounded to whole pixels, 40 * 64 / 56 = 45.7 to 46: y scales by 46 / 40.
    _, _, wanted = answer(False, boxes=xyxy * torch.tensor([scale, 46 / 40, scale, 46 / 40]))
    found = boxes(encode(ours, picture), labels)
    assert torch.allclose(found[0], torch.sigmoid(wanted[:, 0]).amax(0), atol=1e-4)


def test_masks_without_a_prompt_are_equal(ours, answer, picture):
    low, _, _ = answer(True)
    found, _ = encode(ours, picture).decode(several=True)
    assert torch.allclose(found, low, atol=1e-4)
