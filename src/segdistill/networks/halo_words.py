"""What a model's halos are and what the fast one costs, in words for people."""

from segdistill.networks.card import ModelCard

EARLIER = "agreement_at_fast_halo"
"""Where in their provenance cards of earlier versions have the agreement."""

EARLIER_TILE = 512
"""Side of the windows in which that was measured, pixels."""


def fast_halo(card: ModelCard) -> int:
    """Return the fast halo, pixels: the exact one where that is smaller, as it can be on cards of earlier versions.

    Masks of both are those of uncut images.
    """
    exact, fast = card.halo["exact"], card.halo["fast"]
    return fast if exact is None else min(exact, fast)


def halo_in_words(card: ModelCard, *, used: int) -> str:
    """Return in one line which halo is used, whether there is an exact one, and what the fast one costs.

    Args:
        card: The model's.
        used: Border of a window that is computed and not kept, pixels.
    """
    fast = fast_halo(card)
    named = "the fast one" if used == fast else f"as asked; fast: {fast} px"
    return (
        f"Halo {used} px, {named}; exact: {exact_in_words(card)}. Masks with the fast one: {difference_in_words(card)}."
    )


def exact_in_words(card: ModelCard) -> str:
    """Return the exact halo, or that there is none."""
    exact = card.halo["exact"]
    return "none: the network sees without bound" if exact is None else f"{exact} px"


def difference_in_words(card: ModelCard) -> str:
    """Return how masks of windows with the fast halo differ from those of uncut images."""
    measured, exact = agreement_of(card), card.halo["exact"]
    if measured is not None:
        agreement, tile = measured
        return f"Dice {agreement:.4f} with those of uncut images (validation images, windows of {tile} px)"
    if exact is not None and exact <= card.halo["fast"]:
        return "those of uncut images, for it covers the exact one"
    why = ": no validation image was large enough to be cut" if "agreement" in card.halo else ""
    return f"not compared with those of uncut images{why}"


def pooling_in_words(card: ModelCard) -> str | None:
    """Return how squeeze-excite layers pool, and what that does to masks; None where nothing is known of any."""
    if card.pooling is None:
        return None
    window, whole, sliding = card.pooling["window"], card.pooling["whole"], card.pooling["sliding"]
    how = "over all of a tile" if window is None else f"over {window} px around each place"
    if whole is None or sliding is None:
        return f"{how}; how much tiles matter was not measured: no validation image was large enough to be cut"
    used, other = (whole, sliding) if window is None else (sliding, whole)
    otherwise = "around each place" if window is None else "over all of a tile"
    return f"{how}; masks of tiles at two offsets then have Dice {used:.4f}, and {other:.4f} {otherwise}"


def agreement_of(card: ModelCard) -> tuple[float, int] | None:
    """Return the Dice between masks with the fast halo and of uncut images, and the side of the windows, pixels.

    None: it was not measured.
    """
    agreement, tile = card.halo.get("agreement"), card.halo.get("tile")
    if agreement is not None and tile is not None:
        return agreement, tile
    earlier = card.provenance.get(EARLIER)
    return None if earlier is None else (float(earlier), EARLIER_TILE)
