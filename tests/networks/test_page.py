from segdistill.networks import ModelCard
from segdistill.networks.page import page


def card(**changes):
    values = {
        "architecture": "unet-tiny",
        "channels": ("nucleus",),
        "normalisation": {"rule": "full-range"},
        "structures": ({"name": "cell", "instances": True},),
        "crop": 64,
    }
    return ModelCard.model_validate({**values, **changes})


def test_the_page_says_what_a_user_must_know():
    text = page(
        card(
            pixel_size=0.325,
            teacher="sam-vit-h",
            licences=("Apache-2.0", "CC-BY-4.0"),
            labels_used=12,
            notes=("Never seen stained tissue.",),
            thresholds={"cell": {"foreground": 0.4, "seed": 0.6, "minimum_size": 5}},
            halo={"exact": 44, "fast": 32, "agreement": 0.9991, "tile": 512},
        ),
        parameters=57003,
    )
    said = [
        "`unet-tiny`, 57,003 parameters",
        "`nucleus`",
        "rule full-range",
        "0.325 µm",
        "64 × 64 px",
        "exact 44 px; fast 32 px",
        "| masks with the fast one | Dice 0.9991 with those of uncut images (validation images, windows of 512 px) |",
        "`sam-vit-h`",
        "| labelled images used anywhere | 12 |",
        "`Apache-2.0`, `CC-BY-4.0`",
        "- `cell`: single objects (foreground 0.4, minimum size 5, seed 0.6)",
        "- Never seen stained tissue.",
    ]
    assert [line for line in said if line not in text] == []


def test_what_is_not_known_is_said():
    text = page(card(), parameters=1)
    assert "| pixel size | not known |" in text
    assert "none (baseline)" in text
    assert "the network sees without bound" in text
    assert "## Notes" not in text


def test_names_cannot_break_the_table_or_bring_markup():
    text = page(card(channels=("a|b`c",), notes=("<script>\n## Heading",)), parameters=1)
    assert "`a/b'c`" in text
    assert "<script>" not in text
    assert "\n## Heading" not in text


def test_the_page_says_how_the_teacher_was_asked_where_it_was():
    asked = page(card(teacher="sam-vit-h", provenance={"prompting": "grid"}), parameters=1)
    assert "| teacher | `sam-vit-h`, prompting `grid` |" in asked
    unasked = page(card(teacher="maps:tool"), parameters=1)
    assert "| teacher | `maps:tool` |" in unasked
