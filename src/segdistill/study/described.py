"""Which structures arms and teachers are compared on: those that every teacher describes."""

from collections.abc import Iterable, Mapping, Sequence

from segdistill.data.labels import Structure, output_names


def described_by(structures: Sequence[Structure], outputs: Sequence[str]) -> tuple[Structure, ...]:
    """Return the structures of which a teacher with these outputs gives every map."""
    return tuple(each for each in structures if all(output in outputs for output in output_names([each])))


def compared_structures(structures: Sequence[Structure], outputs: Iterable[Sequence[str]]) -> tuple[Structure, ...]:
    """Return the structures that the account is of: those that every teacher describes, all where none describes any.

    What a teacher never spoke of cannot tell what it bought. Of teachers that have nothing in common it is all, too;
    none of them can then be set against a student.

    Args:
        structures: What is scored.
        outputs: Of each teacher.

    >>> cell, nucleus = Structure("cell", instances=False), Structure("nucleus", instances=False)
    >>> [each.name for each in compared_structures([cell, nucleus], [["cell"], ["nucleus", "cell"]])]
    ['cell']
    """
    described = [own for each in outputs if (own := described_by(structures, each))]
    shared = tuple(each for each in structures if all(each in own for own in described))
    return shared or tuple(structures)


def structures_in_words(
    structures: Sequence[Structure], compared: Sequence[Structure], outputs: Mapping[str, Sequence[str]]
) -> str | None:
    """Return of which structures the account is, and what stands in the way of a teacher; None where it is of all.

    Args:
        structures: What is scored.
        compared: Of them, what the account is of.
        outputs: What each teacher describes, by its name; empty of one that gives features alone.

    >>> cell, nucleus = Structure("cell", instances=False), Structure("nucleus", instances=False)
    >>> structures_in_words([cell, nucleus], [cell], {"both": ["cell", "nucleus"], "one": ["cell"]})
    'Every teacher describes cell: verdict, ladder and comparisons are of cell. Scores of nucleus stand by structure.'
    """
    spoken = {name: described_by(structures, each) for name, each in outputs.items() if each}
    described = {name: own for name, own in spoken.items() if own}
    sentences = [_on_left_out(name, structures) for name in spoken if name not in described]
    left = [each for each in structures if each not in compared]
    own, others = _names(compared), _names(left)
    subject = f"verdict, ladder and comparisons are of {own}"
    if not left and not all(set(compared) <= set(each) for each in described.values()):
        each = "; ".join(f"{name} {_names(structures)}" for name, structures in described.items())
        sentences.append(
            f"The teachers describe nothing in common ({each}): {subject}, and a teacher that leaves one of them out is"
            " not set against a student. Scores of each stand by structure."
        )
    elif left and len(set(described.values())) > 1:
        sentences.append(f"Every teacher describes {own}: {subject}. Scores of {others} stand by structure.")
    elif left:
        sentences.append(
            f"The teacher describes {own} alone: {subject}. Students learn {others} from labels alone; scores of that"
            " stand by structure."
        )
    return " ".join(sentences) or None


def _on_left_out(name: str, structures: Sequence[Structure]) -> str:
    wanted = " or ".join(" with ".join(output_names([each])) for each in structures)
    return (
        f"The teacher {name} is not scored, and nothing is said of recovery or gap: that takes its maps of what test"
        f" images are labelled for ({wanted})."
    )


def _names(structures: Sequence[Structure]) -> str:
    return " and ".join(each.name for each in structures)
