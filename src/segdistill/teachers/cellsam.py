"""CellSAM as a teacher: it finds the boxes of cells by itself and draws a mask in each; the maps are their union."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from segdistill.data.channels import BLANK
from segdistill.data.labels import Structure, output_names
from segdistill.data.normalisation import PercentileRule
from segdistill.errors import ConfigError, ShapeError
from segdistill.teachers.cellsam_boxes import corner_boxes, dynamic_threshold
from segdistill.teachers.cellsam_image import equalised, finder_input, segmenter_input
from segdistill.teachers.cellsam_weights import CellSam, CellSamSize, build_cellsam, find_cellsam, full_cellsam_size
from segdistill.teachers.contract import NO_HINT, Contract, Hint, Teacher
from segdistill.teachers.request import Request, refuse_misplaced
from segdistill.teachers.sam_image import Square
from segdistill.teachers.sam_prompts import Encoded, union_in_boxes
from segdistill.teachers.sam_sizes import encoder_of
from segdistill.teachers.sam_weights import read_state, weights_hash
from segdistill.teachers.weight_files import WEIGHTS, fetch_command


@dataclass(frozen=True, kw_only=True)
class Keeping:
    """Which boxes and masks are kept.

    Source:
        ``CellSAM.__init__`` and ``predict`` of github.com/vanvalenlab/cellSAM.
    """

    box: float = 0.4
    """Boxes are kept whose score is above a threshold that this is two thirds of; see ``dynamic_threshold``."""

    predicted_iou: float = 0.5
    """Masks are kept whose predicted IoU is at least this."""


@dataclass(frozen=True, eq=False)
class CellSamTeacher:
    """A frozen CellSAM.

    Args:
        model: In evaluation mode, on its device, in the contract's precision.
        contract: What it takes and gives.
        keeping: Which boxes and masks count.
    """

    model: CellSam
    contract: Contract
    keeping: Keeping

    @property
    def parameters(self) -> int:
        """All of its weights."""
        return sum(each.numel() for each in self.model.parameters())

    @torch.inference_mode()
    def maps(self, image: Float[np.ndarray, "c y x"], hint: Hint = NO_HINT) -> Float[np.ndarray, "k y x"]:
        """Return probabilities on the image's grid; see ``Teacher``. No box is no cell: maps of zeros."""
        del hint
        if len(image) != 3:
            raise ShapeError(f"CellSAM takes an image of three channels, but this one has {len(image)}. Name three.")
        pixels = torch.from_numpy(equalised(image)).to(self.model.segmenter.device)
        parts = union_in_boxes(
            _encoded(self.model, pixels),
            find_boxes(self.model, pixels, base=self.keeping.box),
            predicted_iou=self.keeping.predicted_iou,
        )
        return parts[: len(self.contract.outputs)].numpy()


def find_boxes(model: CellSam, image: Float[Tensor, "3 y x"], *, base: float) -> Float[Tensor, "n 4"]:
    """Return the boxes of cells, best first: (x, y, x, y) in pixels of the square that the networks see.

    Args:
        model: Any CellSAM.
        image: From ``equalised``.
        base: See ``dynamic_threshold``.
    """
    side = encoder_of(model.segmenter.config).side
    square = finder_input(image, side).to(model.segmenter.dtype)
    tokens = model.backbone(square).last_hidden_state.permute(0, 3, 1, 2)
    boxes, scores = (part[0].float() for part in model.boxes(tokens))
    # As in the original the classes do not matter, and of all scores only so many count as there are anchors.
    best = torch.sigmoid(scores).flatten().topk(len(boxes)).values
    threshold = dynamic_threshold(best.tolist(), base=base)
    highest, order = torch.sigmoid(scores).amax(dim=1).sort(descending=True)
    return side * corner_boxes(boxes[order[highest > threshold]])


def _encoded(model: CellSam, image: Float[Tensor, "3 y x"]) -> Encoded:
    """Return the image as the mask network's encoder sees it: drawn out to the square, whatever its shape."""
    side = encoder_of(model.segmenter.config).side
    square = segmenter_input(image, side).to(model.segmenter.dtype)
    place = Square(original=(image.shape[1], image.shape[2]), scaled=(side, side), side=side)
    return Encoded(model.segmenter, model.segmenter.get_image_embeddings(square), place)


_PAIR = ("nucleus", "membrane")
"""What it takes two channels for, in this order."""


def build_cellsam_teacher(request: Request) -> Teacher:
    """Return CellSAM, its weights from disk.

    Raises:
        ConfigError: The channels or the structures do not suit it, or it was given an option that only SAM has.
        EnvironmentFault: Its weights are not here; the message says how to get them.
        DataError: Its weights are damaged or do not fit.
    """
    return cellsam_of_size(request, full_cellsam_size())


def cellsam_of_size(request: Request, size: CellSamSize) -> Teacher:
    """Return a CellSAM of any size; see ``build_cellsam_teacher``."""
    _refuse_options(request)
    channels = cellsam_channels(request.channels)
    outputs = cellsam_outputs(request.structures)
    path = find_cellsam(request.weights)
    model = build_cellsam(size, read_state(path), source=str(path))
    nn.Module.to(model, torch.device(request.device), getattr(torch, request.options.precision))
    contract = _contract(request, channels, size, weights_sha256=weights_hash(path))
    return CellSamTeacher(model, replace(contract, outputs=outputs), Keeping())


def _contract(request: Request, channels: tuple[str, ...], size: CellSamSize, *, weights_sha256: str) -> Contract:
    encoder = encoder_of(size.sam)
    return Contract(
        name=request.name,
        channels=channels,
        rule=PercentileRule(lower=0.0, upper=99.9),
        outputs=(),
        weights_sha256=weights_sha256,
        licence=WEIGHTS["cellsam"].licence,
        size=encoder.side,
        stride=encoder.patch,
        tile=encoder.side // 2,  # the authors cut into 400 pixels: larger ones show cells too small
        labels_seen=None,
        precision=request.options.precision,
        note="Finds its boxes by itself: no label of the image is read. The soft masks are kept, not cut at 0.4. It was"
        " fitted on people's labels of TissueNet, BBBC038 and others, so it may have seen a test image of those.",
    )


def cellsam_channels(channels: tuple[str, ...] | None) -> tuple[str, str, str]:
    """Return which channel goes into red, green and blue.

    One goes into blue alone. Of two the first is the nuclear one and the second the membrane's:
    (blank, nucleus, membrane). Three are taken as they come.

    Source:
        ``utils.format_image_shape`` of github.com/vanvalenlab/cellSAM.

    Raises:
        ConfigError: There are none, or more than three, or two called membrane and nucleus in this order.

    >>> cellsam_channels(("DAPI",))
    ('blank', 'blank', 'DAPI')
    """
    given = channels or ()
    if not 1 <= len(given) <= 3:
        raise ConfigError(
            f"Teacher 'cellsam' takes one, two or three channels, but was given {len(given)}"
            f" ({', '.join(given) or 'none'}). Name them, for example --teacher-channels nucleus membrane."
        )
    if len(given) == len(_PAIR):
        refuse_misplaced(given, _PAIR, teacher="cellsam")
    red, green, blue = (*[BLANK] * (3 - len(given)), *given)
    return red, green, blue


def cellsam_outputs(structures: tuple[Structure, ...]) -> tuple[str, ...]:
    """Return the outputs of a CellSAM that is asked for these structures.

    Raises:
        ConfigError: There are several; it draws one mask per cell and cannot tell structures apart.
    """
    if len(structures) != 1:
        names = ", ".join(structure.name for structure in structures) or "none"
        raise ConfigError(
            f"Teacher 'cellsam' draws one mask per cell and cannot tell structures apart, but there are"
            f" {len(structures)} ({names}). Keep one with --label-sets: cells where it sees a membrane, else nuclei."
        )
    return output_names(structures)


def _refuse_options(request: Request) -> None:
    """Refuse what only SAM has, so that no option is silently ignored."""
    options = request.options
    given = [
        f"{name} {value}"
        for name, value in (("prompting", request.prompting), ("size", options.size), ("probe", options.probe))
        if value is not None
    ]
    if given:
        raise ConfigError(
            f"Teacher 'cellsam' takes no {', '.join(given)}: it finds its boxes by itself, at its own size."
            " Leave that out."
        )
    if options.download:
        raise ConfigError(
            "The weights of teacher 'cellsam' need a token, so they are not downloaded on the way."
            f" Get them first: {fetch_command('cellsam')}."
        )
