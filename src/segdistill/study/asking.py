"""How a teacher is asked: from settings to what loads it, and from its contract to words."""

from collections.abc import Mapping
from typing import Any

from segdistill.settings import TeacherSpec
from segdistill.settings.teacher import called
from segdistill.teachers.contract import Contract
from segdistill.teachers.request import TeacherOptions


def options_of(spec: TeacherSpec) -> TeacherOptions:
    """Return the options with which a teacher is loaded.

    >>> options_of(TeacherSpec(teacher="sam-vit-b", channels=("DAPI",), size=512)).size
    512
    """
    return TeacherOptions(size=spec.size, precision=spec.precision)


def prompting_words(contract: Contract) -> str:
    """Return how a promptable teacher was asked, in words; empty: it gives maps by itself.

    >>> from segdistill.data.normalisation import FullRangeRule
    >>> given = {"rule": FullRangeRule(), "outputs": ("cell",), "weights_sha256": "0", "licence": "MIT"}
    >>> prompting_words(Contract(name="sam-vit-b", channels=("a",), prompting="grid", **given))
    'prompting grid'
    >>> prompting_words(Contract(name="maps:tool", channels=(), **given))
    ''
    """
    return "" if contract.prompting is None else f"prompting {contract.prompting}"


def asked_words(contract: Contract) -> str:
    """Return which teacher was asked and how, in words; what it has none of is left out.

    >>> from segdistill.data.normalisation import FullRangeRule
    >>> given = {"rule": FullRangeRule(), "outputs": ("cell",), "weights_sha256": "0", "licence": "MIT"}
    >>> asked_words(Contract(name="sam-vit-b", channels=("a",), prompting="grid", size=512, **given))
    'sam-vit-b, prompting grid, size 512 px'
    >>> asked_words(Contract(name="maps:tool", channels=(), **given))
    'maps:tool'
    """
    size = "" if contract.size is None else f"size {contract.size} px"
    precision = "" if contract.precision == "float32" else f"precision {contract.precision}"
    return ", ".join(filter(None, [called(contract.name), prompting_words(contract), size, precision]))


def asked_facts(contract: Contract) -> Mapping[str, Any]:
    """Return ``asked_words`` as plain JSON values by name; what a teacher has none of is not among them."""
    facts = {
        "name": called(contract.name),
        "prompting": contract.prompting,
        "size": contract.size,
        "precision": None if contract.precision == "float32" else contract.precision,
        "weights_sha256": contract.weights_sha256,
    }
    return {name: value for name, value in facts.items() if value is not None}
