"""What the page of drawn images is handed: pictures, pairs and words."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

import numpy as np
from jaxtyping import Float

from segdistill import __version__
from segdistill.report.check_page import contact_picture
from segdistill.report.synthesis_content import ShownImage, ShownPair, SynthesisContent
from segdistill.settings.synthesize import Synthesize
from segdistill.study.synthesis_account import FeatureDistance
from segdistill.study.synthesis_data import Real, Reals, central_window
from segdistill.study.synthesis_files import Verdict
from segdistill.study.synthesis_judging import drawn_sample, seen
from segdistill.synthesis.card import SynthesisCard
from segdistill.synthesis.copies import turned_back

MOST_SHOWN, MOST_PAIRS = 48, 24
"""Images on each side of the sheet, and pairs."""

SIDE = 128
"""Longer side of pictures, pixels."""


def content_of(
    settings: Synthesize,
    card: SynthesisCard,
    reals: Reals,
    verdicts: Sequence[Verdict],
    sentences: Sequence[str],
    distance: FeatureDistance | None,
) -> SynthesisContent:
    """Return what the page shows."""
    shown = _shower(settings, card, reals)
    kept = [verdict for verdict in verdicts if verdict.reason is None]
    dropped = [verdict for verdict in verdicts if verdict.reason is not None]
    doubted = sorted(
        (each for each in dropped if "least certain" in (each.reason or "")), key=lambda each: each.certainty or 0.0
    )
    nearest = sorted(verdicts, key=lambda verdict: verdict.nearest.distance)[:MOST_PAIRS]
    return SynthesisContent(
        title="Drawn images of private data" if settings.private else f"Drawn images of {settings.data.name}",
        made=f"Made by segdistill {__version__} on {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        facts=tuple(_facts(settings, card, reals)),
        sentences=tuple(sentences),
        measures=tuple(_measures(distance)),
        measured_on=_measured_on(settings, distance),
        real=tuple(_real_image(real, card) for real in _spread([*reals.fitted, *reals.held_back])),
        drawn=tuple(shown(verdict) for verdict in _spread(kept)),
        nearest=tuple(
            ShownPair(
                drawn=shown(verdict),
                real=_window(reals.fitted[verdict.nearest.index], verdict, card),
                distance=verdict.nearest.distance,
                reason=verdict.reason,
            )
            for verdict in nearest
        ),
        doubted=tuple(shown(verdict) for verdict in doubted[:MOST_SHOWN]),
        dropped=tuple((each.file, each.reason or "", each.nearest.distance) for each in dropped),
    )


def _shower(settings: Synthesize, card: SynthesisCard, reals: Reals) -> Callable[[Verdict], ShownImage]:
    def shown(verdict: Verdict) -> ShownImage:
        sample = drawn_sample(settings, card, verdict.number)
        return _image(verdict.file, seen(sample, reals), card)

    return shown


def _real_image(real: Real, card: SynthesisCard) -> ShownImage:
    return _image(real.entry.name, central_window(real, card.side), card)


def _window(real: Real, verdict: Verdict, card: SynthesisCard) -> ShownImage:
    """Return the part of a real image that is most like a drawn one, turned to lie as that does."""
    (top, left), side = verdict.nearest.origin, card.side
    window = real.entry.image[:, top : top + side, left : left + side]
    return _image(real.entry.name, turned_back(window, verdict.nearest.turn), card)


def _image(name: str, view: Float[np.ndarray, "c y x"], card: SynthesisCard) -> ShownImage:
    counts = np.ones(view.shape[1:], dtype=bool)
    uri = contact_picture(np.ascontiguousarray(view), card.channels, (), counts, side=max(SIDE, card.side))
    return ShownImage(name=name, uri=uri)


def _spread(items: Sequence) -> list:
    """Return items that are evenly spread, if there are many."""
    places = np.linspace(0, len(items) - 1, min(len(items), MOST_SHOWN)).round().astype(int) if items else ()
    return [items[place] for place in places]


def _facts(settings: Synthesize, card: SynthesisCard, reals: Reals) -> Iterator[tuple[str, str]]:
    protocol, sampling = settings.protocol, settings.sampling
    yield "images", f"{settings.images} of {card.side} × {card.side} pixels"
    yield "channels", ", ".join(card.channels)
    yield "fitted on", f"{len(reals.fitted)} training images, {protocol.steps} steps of {protocol.batch_size}"
    yield "held back to measure by", str(len(reals.held_back))
    yield "shown", settings.shown
    yield "drawn by", f"{sampling.solver}, {sampling.steps} steps"
    if settings.given_masks:
        yield "drawn for", f"masks of training images, which are its labels; guidance {settings.masks.guidance:g}"
    yield "teacher", settings.teacher or "none"
    yield "seed", str(settings.seed)


def _measures(distance: FeatureDistance | None) -> Iterator[tuple[str, float, float, int]]:
    if distance is not None:
        for between, found in (
            ("real images that the model never saw, and drawn ones", distance.drawn),
            ("real images that the model never saw, and other real ones", distance.real),
        ):
            yield between, found.mean, found.deviation, distance.images


def _measured_on(settings: Synthesize, distance: FeatureDistance | None) -> str:
    if distance is not None:
        return f"On {distance.features}, in the {distance.axes} directions in which real images vary most."
    if not settings.held_back:
        return "No real image was held back (held_back is 0), so there is nothing to measure by."
    return "Too few real images are held back, or too few drawn ones are kept, to measure a distance."
