"""`segdistill adapt`."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from segdistill.cli.app import say
from segdistill.settings import Adapt

if TYPE_CHECKING:
    from segdistill.study.adapt_job import Adapted


def adapt(*, config: Annotated[Adapt, Parameter(name="*")]) -> None:
    """Fit a SAM to a task with few labels, and keep it as a teacher.

    Only what changed is kept, a few megabytes with probe and lora; every command that takes a teacher
    takes it as adapter:FOLDER. Its labels are counted wherever it teaches, and test images are never
    looked at. The same command goes on where an interrupted one stopped.
    """
    from segdistill import study

    print(*_of(study.adapt(config, notice=say), config), sep="\n")


def _of(made: "Adapted", config: Adapt) -> Iterator[str]:
    from segdistill.study.cost import cost_in_words

    card = made.card
    yield (
        f"Fitted ({card.how}): {card.learned:,} weights, on {len(card.fitted_on)} labelled images, chosen on"
        f" {len(card.chosen_on)}."
    )
    names = {name: "mean" if name == "score" else name.removeprefix("dice.") for name in card.validation}
    if names:
        yield "Dice on validation images: " + ", ".join(
            f"{word} {card.validation[name]:.3f}" for name, word in names.items()
        )
    if (cost := cost_in_words(card.provenance)) is not None:
        yield cost
    yield f"Adapter: {made.folder} ({made.bytes / 1e6:.2f} MB)"
    weights = "" if config.teacher_weights is None else f" --teacher-weights {config.teacher_weights}"
    yield f"Use it: --teacher adapter:{made.folder}{weights} --teacher-channels {' '.join(config.teacher_channels)}"
