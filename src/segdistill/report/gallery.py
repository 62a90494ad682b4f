"""The gallery: what each network saw of a field and what it made of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from segdistill.data.drawing import (
    SKY,
    YELLOW,
    channel_colours,
    drawn_objects,
    error_colours,
    false_colour,
    grey,
    hatched,
    probability_colours,
)
from segdistill.report.content import GalleryCase, Rank
from segdistill.report.encoding import fitted_labels, fitted_view, picture_uri
from segdistill.report.wording import as_percent


@dataclass(frozen=True, kw_only=True)
class PanelView:
    """One picture of a case, ready for the page."""

    title: str
    caption: str
    alt: str
    uri: str | None
    """None: there is nothing to show, and the caption says why."""
    swatches: tuple[tuple[str, str], ...] = ()
    """Colour and the name of the channel that has it."""


@dataclass(frozen=True, kw_only=True)
class CaseView:
    """One case, ready for the page."""

    name: str
    rank: Rank
    structure: str
    metric: str
    scores: tuple[tuple[str, str], ...]
    height: int
    width: int
    panels: tuple[PanelView, ...]


def pictures_of(gallery: Sequence[GalleryCase]) -> dict[str, str]:
    """Return each field that has pictures, to the place of the first of them on the page."""
    places: dict[str, str] = {}
    for number, case in enumerate(gallery, start=1):
        places.setdefault(case.unit or case.name, f"case-{number}")
    return places


def view_case(case: GalleryCase, *, side: int) -> CaseView:
    """Return a case's pictures.

    Args:
        case: Arrays of one field.
        side: The longer side of each picture, pixels at most.
    """
    scaled = _Scaled(case, side)
    return CaseView(
        name=case.name,
        rank=case.rank,
        structure=case.structure,
        metric=case.metric,
        scores=tuple((who, as_percent(value)) for who, value in case.scores.items()),
        height=case.student_view.shape[1],
        width=case.student_view.shape[2],
        panels=tuple(scaled.panels()),
    )


class _Scaled:
    """The arrays of one case at their shown size."""

    def __init__(self, case: GalleryCase, side: int) -> None:
        self.case, self.side = case, side
        self.view = fitted_view(case.student_view, side)
        self.thick = 2 if max(self.view.shape[1:]) >= 2 * max(case.student_view.shape[1:]) else 1
        self.counts = None if case.counts is None else fitted_labels(case.counts, side)

    def panels(self) -> Iterator[PanelView]:
        """Yield what there is to see; nothing of a teacher or a baseline that the run did not have."""
        taught = self.case.teacher_view is not None or self.case.teacher_map is not None
        if taught:
            yield self._view("Teacher's view", self.case.teacher_view, self.case.teacher_channels)
        yield self._view("Student's view", self.case.student_view, self.case.student_channels)
        yield self._objects("Label", self.case.label, YELLOW, "the reference")
        if taught:
            yield self._map()
        if self.case.baseline is not None:
            yield self._objects("Baseline", self.case.baseline, SKY, "segmented without a teacher")
            yield self._errors("Baseline's errors", self.case.baseline)
        words = "segmented after distillation" if taught else "segmented"
        yield self._objects("Student", self.case.student, SKY, words)
        yield self._errors("Student's errors", self.case.student)

    def _view(self, title: str, view: np.ndarray | None, channels: tuple[str, ...]) -> PanelView:
        if view is None:
            return self._absent(title)
        colours = [f"rgb({red} {green} {blue})" for red, green, blue in channel_colours(channels)]
        swatches = tuple(pair for pair in zip(colours, channels, strict=True) if pair[1] != "blank")
        caption = ", ".join(channels)
        return self._panel(title, caption, false_colour(fitted_view(view, self.side), channels), swatches=swatches)

    def _objects(self, title: str, labels: np.ndarray | None, colour: tuple[int, int, int], words: str) -> PanelView:
        if labels is None:
            return self._absent(title)
        fitted = fitted_labels(labels, self.side)
        picture = drawn_objects(grey(self.view, light=0.8), fitted, colour, thick=self.thick)
        return self._panel(title, words, picture if self.counts is None else hatched(picture, self.counts))

    def _map(self) -> PanelView:
        if self.case.teacher_map is None:
            return self._absent("Teacher's map")
        fitted = fitted_view(self.case.teacher_map[None], self.side)[0]
        return self._panel("Teacher's map", "probability, black 0 to white 1", probability_colours(fitted))

    def _errors(self, title: str, labels: np.ndarray | None) -> PanelView:
        if labels is None or self.case.label is None:
            return self._absent(title)
        found, wanted = (fitted_labels(array, self.side) for array in (labels, self.case.label))
        picture = error_colours(grey(self.view, light=0.45), found, wanted, self.counts)
        return self._panel(title, "against the label", picture, alt="vermillion: found, not in the label; blue: missed")

    def _panel(
        self,
        title: str,
        caption: str,
        picture: np.ndarray,
        *,
        alt: str | None = None,
        swatches: tuple[tuple[str, str], ...] = (),
    ) -> PanelView:
        alt = f"{self.case.name}: {title} ({alt or caption})"
        return PanelView(
            title=title, caption=caption, alt=alt, uri=picture_uri(picture, side=self.side), swatches=swatches
        )

    def _absent(self, title: str) -> PanelView:
        return PanelView(title=title, caption="not handed in", alt="", uri=None)
