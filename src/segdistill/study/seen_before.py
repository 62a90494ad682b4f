"""Which images had been seen before a run by what its students learn from or begin with."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from segdistill.networks.card import HASH_DIGITS
from segdistill.networks.encoder_folder import is_encoder
from segdistill.settings import TeacherSpec
from segdistill.study.adapting import learnt_by
from segdistill.study.encoder_start import encoder_start


def seen_before(
    teachers: Iterable[TeacherSpec], *, start: Path | None, encoders: Iterable[Path | None]
) -> Mapping[str, frozenset[str]]:
    """Return beginnings of the hashes of the images that others had seen, by who had; empty: nothing is known of any.

    Args:
        teachers: That teach; those that are fitted here have seen this run's images alone.
        start: Folder of the model that students begin with. None: there is none.
        encoders: Folders or files of encoder weights that students begin with; None among them is none.

    Raises:
        DataError: One of them is damaged.
    """
    found = {f"the teacher {spec.teacher}": learnt_by(spec.teacher) for spec in teachers}
    if start is not None and not is_encoder(start):  # one that is no model is refused where it is begun with
        found[f"the model {start} that students begin with"] = learnt_by(f"model:{start}")
    for path in encoders:
        begun = encoder_start(path)
        if begun is not None and begun.card is not None:
            images = frozenset(each[:HASH_DIGITS] for each in begun.card.images)
            found[f"the encoder {path} that students begin with, or its teacher"] = images | begun.labelled
    return {who: marks for who, marks in found.items() if marks}
