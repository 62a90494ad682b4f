"""Beginning with a model that is there already, instead of random weights: fine-tuning."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from segdistill.data.case import shown
from segdistill.data.labels import Structure, output_names
from segdistill.data.normalisation import PercentileRule, rule_from_json, rule_to_json
from segdistill.errors import ConfigError
from segdistill.networks.card import ModelCard, read_card
from segdistill.networks.encoder_folder import is_encoder
from segdistill.settings.run_folder import claim_settings
from segdistill.study.adapting import known_to
from segdistill.study.preparation import Prepared

Notice = Callable[[str], None]

FOLDER = "start"


@dataclass(frozen=True, eq=False)
class Start:
    """The model that every student of a run begins with."""

    folder: Path
    """Where it is."""

    card: ModelCard
    """What it says of itself."""


def read_start(
    model: Path | None,
    *,
    student: str,
    channels: Sequence[str],
    structures: Sequence[Structure],
    rule: PercentileRule,
    run: Path,
    notice: Notice,
) -> Start | None:
    """Return the model to begin with, None where none is named.

    Args:
        model: Its folder.
        student: The network that is trained.
        channels: The student's.
        structures: What is segmented.
        rule: How the student's images are normalised.
        run: The run's folder; what the model is, is kept in it.
        notice: Told where the channel or the structure has another name.

    Raises:
        ConfigError: It is another network, sees other channels, segments other things or was trained on images
            normalised otherwise; or the run was begun with other weights of it.
        DataError: It cannot be read.
    """
    if model is None:
        return None
    if is_encoder(model):
        raise ConfigError(
            f"{model} holds an encoder by itself, not a model. Name it with --protocol.encoder-weights, not --from."
        )
    card = read_card(model)
    problems = list(_problems(card, student, channels, structures, rule))
    if problems:
        raise ConfigError(
            f"Training cannot begin with {model}: {'; '.join(problems)}. Name a model that suits, change what is asked"
            " for, or leave --from out."
        )
    names = [*zip(card.channels, channels, strict=True)]
    names += zip((each.name for each in card.structures), (each.name for each in structures), strict=True)
    for before, now in names:
        if before != now:
            notice(f"{now} is taken for what {model} calls {before}.")
    folder = run / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    claim_settings(folder, {"start": {"weights_sha256": card.weights_sha256}}, within=run)
    return Start(model, card)


def check_start(start: Start | None, prepared: Prepared) -> None:
    """Refuse a model that has learnt from labels of images that students are to be scored on.

    Args:
        start: From ``read_start``.
        prepared: The images of the run.

    Raises:
        ConfigError: Its card names test images among those that it learnt from or was chosen by.
    """
    if start is None:
        return
    known = known_to(f"model:{start.folder}", prepared.dataset.cases) & set(prepared.split["test"])
    if known:
        raise ConfigError(
            f"The model in {start.folder} learnt from the labels of {len(known)} of the test images"
            f" ({shown(sorted(known))}), so no student that begins with it could be scored on them. Give this command"
            " the data, split and split-seed of the run that made it, or make it anew with those of this command."
        )


def _problems(
    card: ModelCard, student: str, channels: Sequence[str], structures: Sequence[Structure], rule: PercentileRule
) -> Iterator[str]:
    if card.architecture != student:
        yield f"it is {card.architecture}, but the student is {student}"
    # One channel may have another name in every laboratory; of several, order and meaning cannot be guessed.
    if len(card.channels) != len(channels) or (len(channels) > 1 and card.channels != tuple(channels)):
        yield f"it sees {', '.join(card.channels)}, but the student sees {', '.join(channels)}"
    kinds = [each.instances for each in card.structures] == [each.instances for each in structures]
    if not kinds or (len(structures) > 1 and card.structures != tuple(structures)):
        yield f"it gives {', '.join(card.outputs)}, but what is labelled is {', '.join(output_names(structures))}"
    if rule_from_json(card.normalisation) != rule:
        yield f"its images are normalised otherwise ({card.normalisation}, but here {rule_to_json(rule)})"
