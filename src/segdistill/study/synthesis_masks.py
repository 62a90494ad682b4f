"""Masks that images are drawn for: those of training images, at other places, mirrored and turned."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int32

from segdistill.augment import View, apply_views, draw_views, pad_mirrored, window
from segdistill.data.case import stem
from segdistill.data.labels import Structure
from segdistill.data.writers import write_labels
from segdistill.errors import ConfigError
from segdistill.files import neutral_cell, whole_file
from segdistill.settings.synthesize import Synthesize
from segdistill.study.synthesis_data import Real, Reals
from segdistill.study.synthesis_files import KEPT, Verdict
from segdistill.synthesis.card import SynthesisCard

LABELS, MASKS_CSV = "labels", "masks.csv"

_CHOICE = 3
"""Sets the choice of masks apart from every other that begins with the same numbers."""

_SLOT = 2**20
"""Beyond all places of a batch, so that no view is one that the model was shown in fitting."""


@dataclass(frozen=True, eq=False)
class Given:
    """The masks that one image is drawn for."""

    real: Real
    """Whose they are."""

    view: View
    """Which part of them, and how it lies."""

    maps: Float32[np.ndarray, "o y x"]
    """As the network is told: 1, −1, or 0 where nobody labelled."""

    planes: Int32[np.ndarray, "k y x"]
    """As labels."""

    known: Bool[np.ndarray, " k"]
    """Which of them somebody labelled."""


def refuse_unlabelled(reals: Reals) -> None:
    """Refuse to draw for masks where there are none.

    Raises:
        ConfigError: No image that the model is fitted on is labelled.
    """
    if not any(real.known.any() for real in reals.fitted):
        raise ConfigError(
            f"given_masks asks for images that are drawn for masks, but none of the {len(reals.fitted)} training images"
            " is labelled. Label some, or leave it out."
        )


def given_masks(settings: Synthesize, reals: Reals, number: int) -> Given:
    """Return the masks that an image is drawn for, a function of seed and number.

    Args:
        settings: Seed, size, and how masks may be mirrored and turned.
        reals: Whose masks they may be: labelled images that the model is fitted on.
        number: Of the image.
    """
    labelled = [real for real in reals.fitted if real.known.any()]
    real = labelled[int(np.random.default_rng((settings.seed, number, _CHOICE)).integers(len(labelled)))]
    shape = (real.planes.shape[1], real.planes.shape[2])
    (view,) = draw_views(
        seed=settings.seed,
        step=number,
        slots=[_SLOT],
        shapes=[shape],
        crop=settings.size,
        scale=(1.0, 1.0),
        flips=settings.protocol.flips,
        turns=settings.protocol.turns,
    )
    place = window(view, shape)

    def turned(array: np.ndarray) -> np.ndarray:
        cut = torch.from_numpy(np.ascontiguousarray(pad_mirrored(array[:, *place.read], place)))
        return apply_views(cut[None], [view], nearest=True)[0].numpy()

    return Given(real, view, turned(real.maps), turned(real.planes), real.known)


def write_given(settings: Synthesize, card: SynthesisCard, reals: Reals, verdicts: Sequence[Verdict]) -> None:
    """Write the masks of images that are kept as their labels, and whose masks all images were drawn for.

    Args:
        settings: As for ``given_masks``.
        card: Of the model.
        reals: As for ``given_masks``.
        verdicts: Which images are kept.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", "masks of", "first row", "first column", "mirrored", "quarter turns"])
    for verdict in verdicts:
        given = given_masks(settings, reals, verdict.number)
        view, name = given.view, neutral_cell(given.real.entry.name)
        writer.writerow([verdict.file, name, *view.origin, "yes" if view.flip else "no", view.turns])
        if verdict.reason is None:
            _write_labels(settings.out, verdict.file, given, reals.structures, card.pixel_size)
    with whole_file(settings.out / MASKS_CSV) as partial:
        partial.write_text(text.getvalue(), encoding="utf-8")


def _write_labels(
    folder: Path, file: str, given: Given, structures: Sequence[Structure], pixel_size: float | None
) -> None:
    name = f"{stem(Path(KEPT) / file).rpartition('/')[2]}.tif"
    for structure, plane, known in zip(structures, given.planes, given.known, strict=True):
        path = folder / LABELS / structure.name / name
        if known and not path.exists():
            write_labels(path, plane, pixel_size=pixel_size)
