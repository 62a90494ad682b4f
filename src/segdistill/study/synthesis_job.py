"""`segdistill synthesize`: a diffusion model of training images, and images that it draws."""

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch

from segdistill.data.labels import output_names
from segdistill.data.normalisation import rule_to_json
from segdistill.engine import select_device
from segdistill.engine.progress import time_left
from segdistill.errors import EnvironmentFault
from segdistill.files import sha256_array, write_json
from segdistill.report.synthesis_page import write_synthesis
from segdistill.settings import Synthesize, open_run
from segdistill.study.same_data import claim_data
from segdistill.study.surroundings import machine, versions
from segdistill.study.synthesis_account import encoder_of, feature_distance, nearness, sentences
from segdistill.study.synthesis_data import Real, Reals, training_images
from segdistill.study.synthesis_files import (
    Verdict,
    clear_partial,
    place_of,
    read_verdicts,
    sort_files,
    write_verdicts,
)
from segdistill.study.synthesis_judging import judged, judging_teacher
from segdistill.study.synthesis_masks import given_masks, refuse_unlabelled, write_given
from segdistill.study.synthesis_shown import content_of
from segdistill.synthesis.card import CARD, SynthesisCard, read_card
from segdistill.synthesis.denoiser import Denoiser, diffusers, new_denoiser
from segdistill.synthesis.diffusion import Solving
from segdistill.synthesis.drawing import batches, draw_missing, drawn
from segdistill.synthesis.lesson import fit_denoiser
from segdistill.synthesis.model_folder import load_denoiser, save_model

FIT = "fit"
"""Folder of checkpoints and log, beside the model."""

ACCOUNT, PAGE = "account.json", "report.html"
"""What a run ends with; the first is written last, and a run that has it is done."""

_SAME_RESULT = frozenset({"device", "out"})
_BACKWARD = 3  # a step of fitting, in forward passes: one forward, and a backward pass of about two

Notice = Callable[[str], None]


@dataclass(frozen=True)
class Synthesized:
    """Images that are drawn."""

    folder: Path
    """Name it with --transfer; the images that are kept lie in images/."""

    card: SynthesisCard
    """Of the model that drew them."""

    kept: int
    """How many are kept."""

    sentences: tuple[str, ...]
    """What is to be known of them."""

    page: Path
    """Shows them."""


def synthesize(settings: Synthesize, *, notice: Notice = lambda _: None) -> Synthesized:
    """Fit a diffusion model on training images and draw from it, or go on with it, or read back what was done before.

    Args:
        settings: Everything that is asked for.
        notice: Told what happens, line by line.

    Raises:
        MissingExtra: diffusers is not installed.
        SegdistillError: Anything that cannot be done as asked; see ``segdistill.errors``.
    """
    diffusers()  # before anything is read
    out = settings.out
    with open_run(out, settings.resolved(), ignoring=_SAME_RESULT, defaults=Synthesize.defaults()):
        if not (out / ACCOUNT).is_file():
            _make(settings, notice)
        account = json.loads((out / ACCOUNT).read_text(encoding="utf-8"))
        return Synthesized(out, read_card(out), account["kept"], tuple(account["sentences"]), out / PAGE)


def _make(settings: Synthesize, notice: Notice) -> None:
    out, device = settings.out, str(select_device(settings.device, notice=notice))
    reals = training_images(settings, notice=notice)
    claim_data(out, {real.entry.name: _hash_of(real) for real in (*reals.fitted, *reals.held_back)})
    if settings.given_masks:
        refuse_unlabelled(reals)
    teacher = judging_teacher(settings, reals.structures, device=device)
    encoder = encoder_of(settings, reals, device=device)
    if not (out / CARD).is_file():
        _fit(settings, reals, device, notice)
    card = read_card(out)
    before = read_verdicts(out)
    if before is None:
        _draw(settings, card, reals, device, notice)
        before = judged(settings, card, reals, teacher, notice=notice)
        write_verdicts(out, *before)
    verdicts, bound = before
    sort_files(out, verdicts)
    if settings.given_masks:
        write_given(settings, card, reals, verdicts)
    distance = None if encoder is None else feature_distance(settings, card, reals, encoder, verdicts)
    near = nearness(verdicts, reals)
    told = tuple(sentences(verdicts, bound, distance, near))
    write_synthesis(out / PAGE, content_of(settings, card, reals, verdicts, told, distance))
    write_json(
        out / ACCOUNT,
        {
            "drawn": len(verdicts),
            "kept": _kept(verdicts),
            "copy_below": bound,
            "frechet": None if distance is None else asdict(distance),
            "nearness": None if near is None else asdict(near),
            "sentences": list(told),
        },
    )


def _hash_of(real: Real) -> str:
    """Return a hash of its pixels and labels."""
    content = f"{real.pixels_sha256} {sha256_array(real.planes)} {real.known.tolist()}"
    return hashlib.sha256(content.encode()).hexdigest()


def _kept(verdicts: Sequence[Verdict]) -> int:
    return sum(verdict.reason is None for verdict in verdicts)


def _fit(settings: Synthesize, reals: Reals, device: str, notice: Notice) -> None:
    network, protocol = settings.network, settings.protocol
    denoiser = new_denoiser(
        channels=len(reals.channels),
        side=settings.size,
        width=network.width,
        blocks=network.blocks,
        seed=settings.seed,
        maps=len(reals.fitted[0].maps),
    )
    _plan(settings, denoiser, reals, device, notice)
    fit_denoiser(
        settings.out / FIT,
        denoiser,
        [real.shown for real in reals.fitted],
        protocol,
        left_out=settings.masks.left_out if settings.given_masks else 0.0,
        seed=settings.seed,
        device=device,
        notice=notice,
    )
    save_model(settings.out, denoiser, _card(settings, reals, device))


def _draw(settings: Synthesize, card: SynthesisCard, reals: Reals, device: str, notice: Notice) -> None:
    clear_partial(settings.out)
    draw_missing(
        load_denoiser(settings.out, device=device),
        card,
        lambda number: place_of(settings.out, card, number),
        _solving(settings),
        together=batches(settings.images, settings.sampling.batch_size),
        seed=settings.seed,
        masks=(lambda number: given_masks(settings, reals, number).maps) if settings.given_masks else None,
        notice=notice,
    )


def _solving(settings: Synthesize) -> Solving:
    guidance = settings.masks.guidance if settings.given_masks else 1.0
    return Solving(settings.sampling.solver, settings.sampling.steps, guidance)


def _plan(settings: Synthesize, denoiser: Denoiser, reals: Reals, device: str, notice: Notice) -> None:
    """Say what the run will take, by a first drawing of few steps.

    Raises:
        EnvironmentFault: The images will not find room.
    """
    protocol, sampling = settings.protocol, settings.sampling
    per_pass = _seconds_per_image(denoiser, sampling.batch_size, device)
    fitting = _BACKWARD * per_pass * protocol.batch_size * protocol.steps
    per_image = per_pass * sampling.steps * (1 if _solving(settings).guidance in {0, 1} else 2)
    item = max(np.dtype(real.numbers.dtype).itemsize for real in reals.fitted)
    needed = settings.images * len(reals.channels) * settings.size**2 * item
    weights = sum(parameter.numel() for parameter in denoiser.parameters())
    notice(
        f"Plan: fit a network of {weights:,} weights on {len(reals.fitted)} training images ({len(reals.held_back)}"
        f" more are held back to measure by), {protocol.steps} steps of {protocol.batch_size} images, about"
        f" {time_left(fitting)}; then draw {settings.images} images of {len(reals.channels)} × {settings.size} ×"
        f" {settings.size} pixels in {sampling.steps} steps each, about {per_image:.2g} seconds an image,"
        f" {time_left(per_image * settings.images)} in all, at most {needed:,} bytes."
    )
    free = shutil.disk_usage(settings.out).free
    if free < needed:
        raise EnvironmentFault(
            f"{settings.out} needs {needed:,} bytes for the images, but {free:,} are free. Make room, choose a folder"
            " on another disk, or draw fewer."
        )


@torch.no_grad()
def _seconds_per_image(denoiser: Denoiser, batch: int, device: str) -> float:
    """Return how long the network takes for one image in a batch, once."""
    denoiser.to(device).eval()
    drawn(denoiser, range(min(batch, 2)), Solving("ddim", 2), seed=0)  # the first time is slower
    began = time.monotonic()
    drawn(denoiser, range(batch), Solving("ddim", 2), seed=0)
    return (time.monotonic() - began) / 2 / batch


def _card(settings: Synthesize, reals: Reals, device: str) -> SynthesisCard:
    protocol = settings.protocol
    return SynthesisCard(
        channels=reals.channels,
        side=settings.size,
        width=settings.network.width,
        blocks=settings.network.blocks,
        outputs=output_names(reals.structures) if settings.given_masks else (),
        pixel_size=reals.pixel_size,
        normalisation=rule_to_json(reals.rule),
        numbers=tuple(real.numbers for real in reals.fitted),
        how=(
            f"denoising diffusion, velocity, cosine schedule, {protocol.steps} steps of {protocol.batch_size} images"
            f" on {len(reals.fitted)} training images, shown {'whole' if settings.shown == 'whole' else 'in parts'}"
            f"{', with their masks' if settings.given_masks else ''}"
        ),
        images=tuple(sorted({real.image_sha256 for real in reals.fitted})),
        pixels=tuple(sorted({real.pixels_sha256 for real in reals.fitted})),
        labelled=tuple(
            sorted({real.image_sha256 for real in reals.fitted if settings.given_masks and real.known.any()})
        ),
        held_back=tuple(sorted({real.image_sha256 for real in reals.held_back})),
        provenance={
            "made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            "settings": settings.resolved(),
            "versions": versions() | {"diffusers": diffusers().__version__},
            "machine": machine(device),
        },
    )
