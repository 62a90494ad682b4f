"""`segdistill pretrain`."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from segdistill.cli.app import say
from segdistill.settings import Pretrain

if TYPE_CHECKING:
    from segdistill.study.pretrain_job import Pretrained


def pretrain(*, config: Annotated[Pretrain, Parameter(name="*")]) -> None:
    """Pre-train a student's encoder on images without their labels.

    Learns from the training images of a data set, as `distill` will divide it, and from further images. What
    comes out is an encoder that `distill` and `study` begin with. The same command goes on where an interrupted
    one stopped.
    """
    from segdistill import study

    print(*_of(study.pretrain(config, notice=say)), sep="\n")


def _of(made: "Pretrained") -> Iterator[str]:
    from segdistill.study.cost import cost_in_words

    card = made.card
    yield f"Pre-trained the encoder of {card.architecture}: {card.how}."
    if made.losses is not None:
        yield f"Loss: {made.losses[0]:.4f} at first, {made.losses[1]:.4f} in the end."
    if card.teachers:
        labels = "an unknown number of" if card.labels_used is None else str(card.labels_used)
        yield f"Its teacher was fitted on {labels} labelled images, which count wherever this encoder is used."
    if (cost := cost_in_words(card.provenance)) is not None:
        yield cost
    channels = " ".join(card.channels)
    yield f"Encoder: {made.folder}"
    yield (
        f"Use it: --student {card.architecture} --student-channels {channels} --protocol.encoder-weights {made.folder}"
    )
