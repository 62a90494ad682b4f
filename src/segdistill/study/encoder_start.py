"""Beginning with an encoder that was trained before: what it owes to others, and what it must not have seen."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from segdistill.data.case import shown
from segdistill.data.normalisation import PercentileRule, rule_from_json, rule_to_json
from segdistill.data.pseudonyms import image_sha256
from segdistill.errors import ConfigError
from segdistill.files import sha256_file
from segdistill.networks.build import same_encoder
from segdistill.networks.card import HASH_DIGITS
from segdistill.networks.encoder_folder import EncoderCard, read_encoder
from segdistill.study.preparation import Prepared


@dataclass(frozen=True)
class EncoderStart:
    """The encoder weights that students begin with."""

    path: Path
    sha256: str
    """Of the file of weights."""

    card: EncoderCard | None
    """What they say of themselves; None: published weights in a file, which say nothing."""

    @property
    def labels_used(self) -> int | None:
        """Labelled images that were used for them, none for published weights; None: nobody stated it."""
        return 0 if self.card is None else self.card.labels_used

    @property
    def labelled(self) -> frozenset[str]:
        """Beginnings of the hashes of images whose labels were used for them, as far as they are known."""
        return frozenset() if self.card is None else frozenset(each[:HASH_DIGITS] for each in self.card.labelled)

    @property
    def licences(self) -> tuple[str, ...]:
        """The licences that bind what begins with them."""
        return () if self.card is None else self.card.licences

    def facts(self) -> dict[str, Any]:
        """Return what a model's card keeps of them, as JSON values."""
        how = "published weights" if self.card is None else self.card.how
        return {"encoder_weights_sha256": self.sha256, "encoder_weights": how}

    def notes(self, student: str) -> tuple[str, ...]:
        """Return what a user of a model that began with them should know."""
        if self.card is not None:
            unstated = " on an unknown number of labelled images" if self.card.labels_used is None else ""
            teacher = f"; its teacher had been fitted{unstated}" if unstated else ""
            return (f"Its encoder was pre-trained: {self.card.how}{teacher}.",)
        if not student.startswith("vit-"):
            return ()
        return (
            "Its encoder began with published weights, read with 12 attention heads. The file does not say with how"
            " many they were trained: MAE-Lite's with 12, timm's with 3.",
        )


@lru_cache(maxsize=16)
def encoder_start(path: Path | None) -> EncoderStart | None:
    """Return what is known of encoder weights; None where none are named.

    Args:
        path: Of a file of published weights, or of a folder with an encoder and its card.

    Raises:
        DataError: The folder holds no whole encoder.
    """
    if path is None:
        return None
    if path.is_dir():
        card = read_encoder(path)
        return EncoderStart(path, card.weights_sha256, card)
    return EncoderStart(path, sha256_file(path) if path.is_file() else "", None)


def check_encoder(
    path: Path | None, prepared: Prepared, *, student: str, channels: Sequence[str], rule: PercentileRule
) -> None:
    """Refuse an encoder that does not suit a run, before anything is trained.

    Args:
        path: As for ``encoder_start``.
        prepared: The images of the run.
        student: The network that begins with it.
        channels: The student's.
        rule: How the student's images are normalised.

    Raises:
        ConfigError: It is another network's, sees other channels, was trained on images normalised otherwise, or it
            or its teacher has seen images that students are to be scored on.
        DataError: It is damaged.
    """
    start = encoder_start(path)
    card = None if start is None else start.card
    if card is None:
        return
    problems = []
    if not same_encoder(card.architecture, student):
        problems.append(f"it is that of {card.architecture}, but the student is {student}")
    # One channel may have another name in every laboratory; of several, order and meaning cannot be guessed.
    if len(card.channels) != len(channels) or (len(channels) > 1 and card.channels != tuple(channels)):
        problems.append(f"it sees {', '.join(card.channels)}, but the student sees {', '.join(channels)}")
    if rule_from_json(card.normalisation) != rule:
        problems.append(f"its images were normalised otherwise ({card.normalisation}, here {rule_to_json(rule)})")
    if problems:
        raise ConfigError(
            f"Students cannot begin with the encoder in {path}: {'; '.join(problems)}. Name an encoder that suits, or"
            " leave protocol.encoder_weights out."
        )
    seen = {each[:HASH_DIGITS] for each in (*card.images, *card.labelled)}
    tested = [case for case in prepared.dataset.cases if case.name in set(prepared.split["test"])]
    known = sorted(case.name for case in tested if image_sha256(case)[:HASH_DIGITS] in seen)
    if known:
        raise ConfigError(
            f"The encoder in {path} or its teacher was trained on {len(known)} of the test images ({shown(known)}), so"
            " no student that begins with it could be scored on them. Give this command the data, split and split-seed"
            " of that which made the encoder, or make it anew with those of this one."
        )
