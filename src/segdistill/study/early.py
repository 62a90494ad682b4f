"""What cannot be done is refused before a teacher has spoken: a large one speaks for hours."""

from collections.abc import Iterable, Sequence

from segdistill import plugins
from segdistill.data.channels import check_names
from segdistill.data.labels import Structure
from segdistill.engine.launch import refuse_precision
from segdistill.errors import ConfigError, DataError
from segdistill.networks.build import students
from segdistill.settings import Arm, TeacherSpec
from segdistill.study.fitted import PREFIX, is_fitted
from segdistill.study.preparation import Prepared, budget_seed, labelled_budget
from segdistill.study.probing import PROMPTING
from segdistill.teachers.load import check_teacher
from segdistill.training.objective import taught_outputs


def check_asked(
    prepared: Prepared, arms: Iterable[Arm], *, names: Iterable[str], seeds: Sequence[int], split_seed: int
) -> None:
    """Refuse students that there are not, and more labels than there are.

    Args:
        prepared: The data.
        arms: What is to be trained.
        names: Of the students.
        seeds: Of the runs.
        split_seed: Of the division.

    Raises:
        UnknownName: No student has such a name.
        ConfigError: An arm may use more labels than there are.
    """
    for name in names:
        plugins.find("student", name, students())
    labelled = prepared.labelled("train")
    for arm in arms:
        for seed in seeds:
            labelled_budget(labelled, arm.labels, seed=budget_seed(split_seed, seed))


def check_teachers(asked: Iterable[TeacherSpec]) -> None:
    """Refuse teachers that there are not: else the first would speak for hours before the second is missed.

    Args:
        asked: As the user typed them; of one that is fitted here, the network is looked at. Those that are adapted
            or probed here are asked for what they cannot do first, when their turn comes.

    Raises:
        UnknownName: Nothing is called so.
        ConfigError: One is said to be where there is nothing.
    """
    for spec in asked:
        if is_fitted(spec.teacher):
            plugins.find("student", spec.teacher.removeprefix(PREFIX), students())
        elif spec.adaptation is None and spec.prompting != PROMPTING:
            check_teacher(spec.teacher)


def check_precisions(precisions: Iterable[str], device: str) -> None:
    """Refuse number formats in which a device does not train.

    Raises:
        ConfigError: One is among them.
    """
    for precision in precisions:
        refuse_precision(precision, device)


def check_channels(prepared: Prepared, channels: Sequence[str], *, who: str) -> None:
    """Refuse a channel that no image has; where some images have it, the others fail by themselves and are listed.

    Args:
        prepared: The data.
        channels: Names.
        who: Is to see them, for the message.

    Raises:
        ConfigError: No image has one of them; those that there are, are named.
    """
    refuse_absent(((each.image.channels, each.image.source) for each in prepared.samples.values()), channels, who=who)


def refuse_absent(images: Iterable[tuple[Sequence[str], str]], names: Sequence[str], *, who: str) -> None:
    """Refuse a channel that no image has.

    Args:
        images: Channels and source of each; looked at one after the other, until every name was met. Empty: nothing
            is known, and nothing refused.
        names: Of the channels.
        who: Is to see them, for the message.

    Raises:
        ConfigError: No image has one of them; those that the first has, are named.

    >>> refuse_absent([(("nucleus", "membrane"), "a.tif")], ["membran"], who="teacher")
    Traceback (most recent call last):
    segdistill.errors.ConfigError: No image has the channel 'membran' that the teacher is to see. Of...
    """
    reasons: dict[str, str] = {}
    missing = list(dict.fromkeys(names))
    for have, source in images:
        for name in tuple(missing):
            try:
                check_names(have, (name,), source=source)
                missing.remove(name)
            except DataError as error:
                reasons.setdefault(name, str(error))
        if not missing:
            return
    for name in missing:
        if name in reasons:
            raise ConfigError(
                f"No image has the channel {name!r} that the {who} is to see. Of the first: {reasons[name]}"
            )


def check_described(structures: Sequence[Structure], outputs: Sequence[str], *, teacher: str) -> list[str]:
    """Refuse a teacher that describes nothing of what students learn; return what it leaves to the labels.

    Args:
        structures: What students learn.
        outputs: What the teacher gives, by name.
        teacher: Its name, for the message.

    Raises:
        ConfigError: They have nothing in common.
    """
    if not outputs:
        return []  # it gives features alone, or takes the names of the structures
    if not taught_outputs(structures, outputs):
        raise ConfigError(
            f"The teacher {teacher!r} describes {', '.join(outputs)}, but students learn"
            f" {', '.join(each.name for each in structures)}: nothing could be distilled. Name what is labelled as the"
            f" teacher does, such as --structure {outputs[0]}, or label sets that it describes, or choose another"
            " teacher."
        )
    return [structure.name for structure in structures if not taught_outputs([structure], outputs)]
