"""A model's page for people: README.md beside its weights."""

from segdistill.networks.card import CARD_FILE, PROMPTING, WEIGHTS_FILE, ModelCard
from segdistill.networks.halo_words import difference_in_words, exact_in_words, pooling_in_words

PAGE_FILE = "README.md"


def page(card: ModelCard, *, parameters: int) -> str:
    """Return a model's page as Markdown.

    Args:
        card: The model's card.
        parameters: Number of the network's weights.
    """
    size = "not known" if card.pixel_size is None else f"{card.pixel_size:g} µm"
    rows = [
        ("architecture", f"{_code(card.architecture)}, {parameters:,} parameters"),
        ("channels, in order", ", ".join(_code(name) for name in card.channels)),
        ("normalisation", _code(", ".join(f"{key} {value}" for key, value in card.normalisation.items()))),
        ("pixel size", size),
        ("trained on crops of", f"{card.crop} × {card.crop} px"),
        ("context of a tile", f"exact {exact_in_words(card)}; fast {card.halo['fast']} px"),
        ("masks with the fast one", difference_in_words(card)),
        *(() if (pooling := pooling_in_words(card)) is None else (("squeeze-excite layers pool", pooling),)),
        ("teacher", _teacher(card)),
        ("labelled images used anywhere", "not known" if card.labels_used is None else str(card.labels_used)),
        ("licences", ", ".join(_code(name) for name in card.licences) or "none recorded"),
    ]
    return "\n".join(
        [
            f"# A segdistill model: {', '.join(_code(structure.name) for structure in card.structures)}",
            "",
            "Segments images with `segdistill predict MODEL_FOLDER IMAGES --out MASKS`.",
            "",
            "| | |",
            "|---|---|",
            *(f"| {name} | {value} |" for name, value in rows),
            "",
            "## Structures",
            "",
            *(_structure(card, structure.name, structure.instances) for structure in card.structures),
            "",
            *(["## Notes", "", *(f"- {_plain(note)}" for note in card.notes), ""] if card.notes else []),
            f"The weights are in `{WEIGHTS_FILE}`; `{CARD_FILE}` says the same as this page, for programs.",
            "",
        ]
    )


def _teacher(card: ModelCard) -> str:
    if card.teacher is None:
        return "none (baseline)"
    prompting = card.provenance.get(PROMPTING)
    return _code(card.teacher) + ("" if prompting is None else f", prompting {_code(str(prompting))}")


def _structure(card: ModelCard, name: str, instances: bool) -> str:
    kind = "single objects" if instances else "a mask"
    values = card.thresholds.get(name)
    if values is None:
        return f"- {_code(name)}: {kind}"
    settings = ", ".join(f"{key.replace('_', ' ')} {value:g}" for key, value in sorted(values.items()))
    return f"- {_code(name)}: {kind} ({settings})"


def _plain(text: str) -> str:
    """Return text on one line that neither Markdown tables nor HTML take for their own."""
    return " ".join(text.split()).replace("|", "/").replace("<", "‹").replace(">", "›")


def _code(text: str) -> str:
    return f"`{_plain(text).replace('`', chr(39))}`"
