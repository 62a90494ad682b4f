"""`segdistill agglomerate`."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from segdistill.cli.app import say
from segdistill.cli.tables import show
from segdistill.settings import Agglomerate

if TYPE_CHECKING:
    from segdistill.study.agglomerate_job import Agglomeration

_LOOKS = ("heads_untrained", "heads_trained", "linear_map_of_random_encoder", "linear_map_of_encoder")
_COLUMNS = (
    "teacher", "head, untrained", "head, trained", "linear map, random encoder", "linear map, this encoder"
)  # fmt: skip


def agglomerate(*, config: Annotated[Agglomerate, Parameter(name="*")]) -> int:
    """Make one light encoder of several frozen ones, which students then begin with.

    Each teacher looks at every image once, at its own size and with its own normalisation; what it
    says is stored, and one encoder learns to say all of it. No label is looked at. The same command
    goes on where an interrupted one stopped; students begin with the encoder by
    --protocol.encoder-weights. The exit status is 1 if a teacher failed on some images.
    """
    from segdistill import study

    made = study.agglomerate(config, notice=say)
    _tables(made.account)
    print(*_of(made), sep="\n")
    return int(any(teacher["failed"] for teacher in made.account["teachers"]) or bool(made.account["dropped"]))


def _tables(account: Mapping[str, Any]) -> None:
    count = account["held_out"]["images"]
    for measure in ("cosine", "error") if count else ():
        rows = [(each["label"], *(_number(each.get(look), measure) for look in _LOOKS)) for each in account["teachers"]]
        title = "Cosine to the teacher" if measure == "cosine" else "Squared error, 1 being that of the teacher's mean"
        show(f"{title}, on {count} validation images", _COLUMNS, rows, numbers=_COLUMNS[1:])
        print()
    probes = account["probe"]
    if probes:
        columns = ("linear probe of", *(name for name in next(iter(probes.values())) if name != "score"), "mean")
        rows = [
            (name, *(f"{scores[each]:.3f}" for each in columns[1:-1]), f"{scores['score']:.3f}")
            for name, scores in probes.items()
        ]
        show("Dice on test images", columns, rows, numbers=columns[1:])
        print()


def _of(made: "Agglomeration") -> Iterator[str]:
    from segdistill.study.cost import cost_in_words

    account, card = made.account, made.card
    if not account["held_out"]["images"]:
        yield "No validation images: nothing was compared, and the last weights are kept."
    shares = account["shares"]
    if len(shares) > 1:
        first, last = shares[0], shares[-1]
        words = ", ".join(f"{name} {first[name]:.2f} → {last[name]:.2f}" for name in last if name != "step")
        yield f"Shares ({account['balancing']}), step {first['step']} to {last['step']}: {words}."
    yield from (each["sentence"] for each in account["collapsed"])
    for teacher in account["teachers"]:
        yield from (f"  No tokens of {teacher['label']} for {case}: {why}" for case, why in teacher["failed"].items())
    for taught in card.teachers:
        ratio = "of unknown size" if taught.times_smaller is None else f"{taught.times_smaller:.1f} times as large"
        yield f"Teacher {taught.name}: {ratio}, licence {taught.licence}."
    if (cost := cost_in_words(card.provenance)) is not None:
        yield cost
    yield f"Encoder: {made.folder} ({card.parameters:,} weights)"
    yield (
        f"Use it: segdistill distill --student {card.architecture} --student-channels {' '.join(card.channels)}"
        f" --protocol.encoder-weights {made.folder} …"
    )


def _number(match: Mapping[str, float] | None, measure: str) -> str:
    return "–" if match is None else f"{match[measure]:.3f}"
