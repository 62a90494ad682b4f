"""Linear probes of encoders that an agglomeration has to do with, on test images."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
from jaxtyping import Float

from segdistill.data.sample import Sample
from segdistill.errors import ConfigError
from segdistill.networks.tokens import TokenEncoder
from segdistill.settings import Agglomerate
from segdistill.study.arms import RULE
from segdistill.study.preparation import Prepared
from segdistill.study.token_stores import Heard, load_encoder_teacher
from segdistill.targets import Key, View, image_key
from segdistill.targets.look import field_of, look_for_tokens
from segdistill.teachers.contract import Teacher
from segdistill.teachers.untrained import untrained
from segdistill.training.entries import Entry, make_entry
from segdistill.training.linear_account import tokens_of_picture
from segdistill.training.pictures import make_pictures
from segdistill.training.token_probe import Seen, probe_dice

Encode = Callable[[Sample], Float[np.ndarray, "_ _ d"] | None]
"""From a field to an encoder's tokens; None where it says nothing."""


def probe_student(encoder: TokenEncoder, settings: Agglomerate, prepared: Prepared) -> dict[str, float]:
    """Return Dice on test images of a linear probe of the student's encoder, see ``probe``.

    Args:
        encoder: In evaluation mode.
        settings: Of the run.
        prepared: The images.

    Raises:
        ConfigError: Too few images are labelled.
    """
    return probe(lambda sample: _student_tokens(encoder, settings, sample), prepared)


def probe_teachers(
    settings: Agglomerate, prepared: Prepared, heard: Sequence[Heard], *, device: str
) -> dict[str, Mapping[str, float]]:
    """Return Dice on test images of linear probes of the teachers.

    Args:
        settings: Of the run.
        prepared: The images.
        heard: The teachers, whose stored tokens are read.
        device: Where the same networks with random weights run.

    Returns:
        Each teacher by its label; and "LABEL, random", the same network with weights that nobody trained, where it
        is known how these begin.

    Raises:
        ConfigError: Too few images are labelled.
    """
    found: dict[str, Mapping[str, float]] = {}
    for each in heard:
        found[each.stored.label] = probe(partial(_stored_tokens, each), prepared)
        try:
            fresh = untrained(load_encoder_teacher(settings, each.name, device=device), seed=settings.seed)
        except ConfigError:
            continue
        found[f"{each.stored.label}, random"] = probe(partial(_tokens_now, fresh, each.stored.grid), prepared)
    return found


def probe(encode: Encode, prepared: Prepared) -> dict[str, float]:
    """Return Dice on test images of a linear probe of one encoder, see ``probe_dice``; no pixel is looked at.

    Raises:
        ConfigError: Too few images are labelled.
    """
    return probe_dice(_seen(encode, prepared, "train"), _seen(encode, prepared, "test"), prepared.dataset.structures)


def nothing_found(prepared: Prepared) -> dict[str, float]:
    """Return the Dice on test images of whoever finds nothing: it is right where there is nothing.

    A probe that is no better than this may know nothing at all.

    Returns:
        As of ``probe``; empty where every structure is in every test image, so that it would be 0 throughout.
    """
    exam = [sample for sample in prepared.labelled("test") if sample.known.all()]
    found = {
        structure.name: float(np.mean([not (sample.planes[plane][sample.counts] > 0).any() for sample in exam]))
        for plane, structure in enumerate(prepared.dataset.structures)
    }
    return found | {"score": float(np.mean(list(found.values())))} if any(found.values()) else {}


def _seen(encode: Encode, prepared: Prepared, split: str) -> list[Seen]:
    found = []
    for sample in prepared.labelled(split):
        tokens = encode(sample)
        if tokens is not None:
            unseen = np.zeros((0, *sample.counts.shape), np.float32)
            found.append(Seen(Entry(sample.name, unseen, sample.planes, sample.known, sample.counts), tokens))
    return found


def _student_tokens(encoder: TokenEncoder, settings: Agglomerate, sample: Sample) -> Float[np.ndarray, "_ _ d"]:
    image = make_entry(sample, channels=settings.student_channels, rule=RULE).image
    (picture,) = make_pictures(
        sample.name,
        image,
        image_key(sample.image),
        views=[View()],
        side=settings.protocol.size,
        stride=encoder.stride,
    )
    return tokens_of_picture(encoder, picture)


def _stored_tokens(heard: Heard, sample: Sample) -> Float[np.ndarray, "_ _ d"] | None:
    key = Key(image_key(sample.image))
    return heard.stored.store.tokens(key, heard.stored.grid) if heard.stored.speaks_of(key) else None


def _tokens_now(teacher: Teacher, grid: str, sample: Sample) -> Float[np.ndarray, "_ _ d"]:
    return look_for_tokens(teacher, field_of(teacher, sample, ()), (grid,), View())[grid]
