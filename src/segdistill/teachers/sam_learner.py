"""A SAM that answers without a prompt and learns to: through a head, a low-rank change, or with all its weights."""

from collections.abc import Iterator
from functools import partial
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import SamModel

from segdistill.teachers.contract import NO_HINT, Hint
from segdistill.teachers.sam_image import from_square, place, to_square
from segdistill.teachers.sam_lora import add_low_rank, merge_low_rank
from segdistill.teachers.sam_masks import masks_in_use, with_masks
from segdistill.teachers.sam_probe import new_head
from segdistill.teachers.sam_prompts import Encoded, tuned
from segdistill.teachers.sam_sizes import encoder_of

Fitted = Literal["probe", "lora", "full"]
"""What of a SAM is fitted: a small head on its frozen encoder, a low-rank change with the last layers, or all."""

_HEAD_WIDTH = 64


class SamLearner(nn.Module):
    """A SAM as a network from images to scores; what of it shall learn has gradients, nothing else has.

    Names of what learns are those of the state that an adapter keeps.
    """

    def __init__(self, model: SamModel, outputs: int, *, head: nn.Sequential | None) -> None:
        """Hold the parts; ``new_learner`` chooses what of them learns.

        Args:
            model: Any SAM with masks enough.
            outputs: How many maps it gives.
            head: Reads the encoder's embedding in place of the mask decoder. None: the decoder answers.
        """
        super().__init__()
        self.model = model
        self.outputs = outputs
        self.head = head

    def forward(self, image: Float[Tensor, "b 3 y x"]) -> Float[Tensor, "b k y x"]:
        """Return scores on the images' own grid.

        Args:
            image: Values 0…1, of one size.
        """
        square = place((image.shape[2], image.shape[3]), encoder_of(self.model.config).side)
        coarse = self._coarse(torch.cat([to_square(each, square) for each in image]))
        return from_square(coarse.flatten(0, 1), square).unflatten(0, (len(image), self.outputs))

    def ask(self, encoded: Encoded, hint: Hint = NO_HINT) -> Float[Tensor, "k y x"]:  # noqa: ARG002  (the shape of every Ask)
        """Return probabilities on the image's grid, as a teacher is asked for them."""
        if self.head is None:
            return tuned(encoded, self.outputs)
        return torch.sigmoid(from_square(self.head(encoded.embedding.float())[0], encoded.square))

    def _coarse(self, pixels: Float[Tensor, "b 3 side side"]) -> Float[Tensor, "b k low low"]:
        if self.head is None:
            answer = self.model(pixel_values=pixels, multimask_output=self.outputs > 1)
            return answer.pred_masks[:, 0, : self.outputs]
        return self.head(self.model.get_image_embeddings(pixels))  # which keeps no gradient


def new_learner(model: SamModel, how: Fitted, *, outputs: int, rank: int, seed: int) -> SamLearner:
    """Return a SAM that is ready to be fitted. With ``lora`` and ``full`` it first says what the frozen one says.

    (Unless it is given more masks than it had; see ``with_masks``.)

    Args:
        model: Frozen. With ``lora`` it is changed in place.
        how: What learns.
        outputs: How many maps it shall give.
        rank: Of the low-rank changes, ≥ 1; used with ``lora`` alone.
        seed: Of first values.
    """
    model.requires_grad_(False)
    if how == "probe":
        generator = torch.Generator().manual_seed(seed)
        head = new_head(encoder_of(model.config).neck, _HEAD_WIDTH, outputs, generator).to(model.device)
        return SamLearner(model, outputs, head=head)
    model = with_masks(model, outputs)
    learner = SamLearner(model, outputs, head=None)
    if how == "lora":
        add_low_rank(model, rank, seed=seed)
        for part in _last_layers(model, outputs):
            part.requires_grad_(True)
        return learner
    for part in (model.vision_encoder, model.mask_decoder.transformer, model.mask_decoder.iou_token):
        part.requires_grad_(True)
    for part in _last_layers(model, outputs):
        part.requires_grad_(True)
    return learner


def merge(learner: SamLearner) -> None:
    """Make a fitted learner a plain SAM (and its head), frozen and in evaluation mode."""
    merge_low_rank(learner.model)
    learner.eval().requires_grad_(False)


def checkpoint_blocks(model: SamModel) -> None:
    """Keep no activations within the encoder's blocks: each is computed again for its gradient.

    Takes about a third more time, and a fraction of the memory.
    """
    for block in model.vision_encoder.layers:
        block.forward = partial(checkpoint, block.forward, use_reentrant=False)


def _last_layers(model: SamModel, outputs: int) -> Iterator[nn.Module]:
    """Yield what turns the decoder's tokens into masks: nobody trained it for these outputs.

    Heads of masks that are not asked for, and of predicted IoUs, get no gradient and are left out.

    Source:
        Zhang, Liu 2023, arXiv:2304.13785: where the decoder's attentions have low-rank changes, the rest of it is
        tuned, and the embedding that stands for no prompt.
    """
    decoder = model.mask_decoder
    yield from (model.prompt_encoder.no_mask_embed, decoder.mask_tokens)
    yield from (decoder.upscale_conv1, decoder.upscale_layer_norm, decoder.upscale_conv2)
    yield from (decoder.output_hypernetworks_mlps[token] for token in masks_in_use(outputs))
