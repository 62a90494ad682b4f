import pytest

from segdistill.networks import ModelCard
from segdistill.networks.halo_words import halo_in_words, pooling_in_words


def card(halo, **changes):
    values = {
        "architecture": "unet-tiny",
        "channels": ("nucleus",),
        "normalisation": {"rule": "full-range"},
        "structures": ({"name": "cell", "instances": True},),
        "crop": 64,
        "halo": halo,
    }
    return ModelCard.model_validate({**values, **changes})


def test_the_fast_halo_is_named_with_what_it_costs():
    said = halo_in_words(card({"exact": 287, "fast": 64, "agreement": 0.99934, "tile": 256}), used=64)
    assert said == (
        "Halo 64 px, the fast one; exact: 287 px. Masks with the fast one: Dice 0.9993 with those of uncut images"
        " (validation images, windows of 256 px)."
    )


def test_a_halo_that_was_asked_for_is_told_from_the_fast_one():
    said = halo_in_words(card({"exact": None, "fast": 64, "agreement": 0.5, "tile": 160}), used=96)
    assert said.startswith("Halo 96 px, as asked; fast: 64 px; exact: none: the network sees without bound. Masks")


@pytest.mark.parametrize(
    ("halo", "words"),
    [
        ({"exact": 40, "fast": 64, "agreement": None, "tile": None}, "those of uncut images, for it covers the exact"),
        ({"exact": 287, "fast": 64, "agreement": None, "tile": None}, "no validation image was large enough to be cut"),
        ({"exact": None, "fast": 64}, "not compared with those of uncut images."),
    ],
)
def test_where_nothing_was_measured_it_is_said(halo, words):
    assert words in halo_in_words(card(halo), used=64)


def test_cards_of_earlier_versions_have_the_agreement_in_their_provenance():
    halo = {"exact": 287, "fast": 96}
    measured = card(halo, provenance={"agreement_at_fast_halo": 0.9991})
    assert "Dice 0.9991" in halo_in_words(measured, used=96)
    assert "windows of 512 px" in halo_in_words(measured, used=96)
    assert "not compared" in halo_in_words(card(halo, provenance={"agreement_at_fast_halo": None}), used=96)


@pytest.mark.parametrize(
    ("pooling", "words"),
    [
        (None, None),
        (
            {"window": 64, "whole": 0.98, "sliding": 0.995},
            "over 64 px around each place; masks of tiles at two offsets then have Dice 0.9950, and 0.9800 over all of"
            " a tile",
        ),
        (
            {"window": None, "whole": 0.99, "sliding": 0.985},
            "over all of a tile; masks of tiles at two offsets then have Dice 0.9900, and 0.9850 around each place",
        ),
        (
            {"window": None, "whole": None, "sliding": None},
            "over all of a tile; how much tiles matter was not measured: no validation image was large enough to"
            " be cut",
        ),
    ],
)
def test_how_squeeze_excite_pools_is_said_with_both_agreements(pooling, words):
    assert pooling_in_words(card({"exact": None, "fast": 64}, pooling=pooling)) == words
