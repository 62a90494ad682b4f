"""A diffusion model on disk: its weights, a card that says on which images it was fitted, a page for people."""

from pathlib import Path

import safetensors.torch

from segdistill.errors import DataError
from segdistill.files import sha256_file, whole_file, write_json
from segdistill.networks.safe_weights import listed, read_weights, unfitting
from segdistill.synthesis.card import CARD, SynthesisCard, read_card
from segdistill.synthesis.denoiser import Denoiser

WEIGHTS, PAGE = "denoiser.safetensors", "README.md"


def save_model(folder: Path, denoiser: Denoiser, card: SynthesisCard) -> SynthesisCard:
    """Write a model's weights, a page for people and, last, its card; return the card as written.

    Args:
        folder: For the files; made where it is missing.
        denoiser: Of the card's shape.
        card: Its hash is filled in here.

    Raises:
        EnvironmentFault: The disk is full or the folder cannot be written.
    """
    values = {name: value.detach().cpu().contiguous().clone() for name, value in denoiser.state_dict().items()}
    with whole_file(folder / WEIGHTS) as partial:
        partial.write_bytes(safetensors.torch.save(values))
    card = card.model_copy(update={"weights_sha256": sha256_file(folder / WEIGHTS)})
    with whole_file(folder / PAGE) as partial:
        partial.write_text(_page(card), encoding="utf-8")
    write_json(folder / CARD, card.model_dump(mode="json"))
    return card


def load_denoiser(folder: Path, *, device: str) -> Denoiser:
    """Return a fitted network, in evaluation mode.

    Args:
        folder: That ``save_model`` wrote.
        device: Where it runs.

    Raises:
        DataError: The card or the weights are missing, damaged, or not of each other.
    """
    card = read_card(folder)
    if not (folder / WEIGHTS).is_file() or sha256_file(folder / WEIGHTS) != card.weights_sha256:
        raise DataError(
            f"{folder / WEIGHTS} is missing, or is not what {CARD} beside it describes. Copy the folder again, or"
            " fit the model anew in another folder."
        )
    denoiser = Denoiser(
        channels=len(card.channels), side=card.side, width=card.width, blocks=card.blocks, maps=len(card.outputs)
    )
    weights, wanted = read_weights(folder / WEIGHTS), denoiser.state_dict()
    if wrong := unfitting(weights, wanted):
        raise DataError(
            f"{folder / WEIGHTS} lacks weights of this version's network, or has others: {listed(wrong)}. Draw with the"
            " version of diffusers that the card names, or fit the model anew."
        )
    denoiser.load_state_dict(weights)
    return denoiser.to(device).eval()


def _page(card: SynthesisCard) -> str:
    return "\n".join(
        [
            "# Images that a diffusion model drew",
            "",
            "What lies in `images/` was drawn by a model and shows nobody and nothing that was there. It may still be"
            " nearly a copy of an image that the model was fitted on: `report.html` shows the nearest, and a judgement"
            " of who may see these images is the same as for the images that it was fitted on.",
            "",
            f"- {card.how}",
            f"- channels, in order: {', '.join(card.channels)}; {card.side} × {card.side} pixels",
            f"- fitted on {len(card.images)} images, whose files' SHA-256 are in `{CARD}`",
            "",
            "Use them: `segdistill pretrain --transfer THIS_FOLDER ...`, beside the data that they were made from. It"
            f" reads `{CARD}`, and refuses them where the model has seen images that are to be scored on; so keep that"
            " file with the images.",
            "",
        ]
    )
