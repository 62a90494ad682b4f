"""Cases to look at first: what about them is unlike the others, or unlike what labels should be."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from segdistill.data.glimpse import Glimpse, LabelMeasures
from segdistill.data.pieces import pieces_of

CLIPPED = 0.02
"""Share of a channel's pixels at the largest number of their type from which its light was cut off."""

SPECK = 4
"""Objects of so many pixels or fewer are specks, unless they are cut by the edge of the image."""

_FEW = 8
"""Fewer cases than this have no usual number of objects."""

_FAR = 5.0
"""Distance from the median, in (normal) standard deviations, from which a case is unlike the others."""

_OBJECTS = 8
"""A label of fewer objects fits in several places by chance."""

_NEAR = 0.2
"""Labels are shifted by so much of a side at most: farther off it is chance."""

_BETTER = 0.2
"""How much more another place must correlate before a label is said to fit better there."""

_SIDES = re.compile(r"(^|[^a-z])(left|right|sinister|dexter|[lr])([^a-z]|$)", re.IGNORECASE)


def oddities(glimpses: Sequence[Glimpse], *, instances: Iterable[str]) -> dict[str, list[str]]:
    """Return what is odd about cases, the gravest first; cases about which nothing is are left out.

    None of this is an error: each is a reason to look.

    Args:
        glimpses: All cases of a data set.
        instances: Label sets whose numbers name single objects.
    """
    single = set(instances)
    found: dict[str, list[tuple[int, str]]] = {each.name: [] for each in glimpses}
    for each in glimpses:
        found[each.name] += [*_of_labels(each, single), *_of_image(each)]
    for label_set in sorted({name for each in glimpses for name in each.measures}):
        measured = {each.name: each.measures[label_set] for each in glimpses if label_set in each.measures}
        for name, words in _unlike_others(label_set, measured, counted=label_set in single):
            found[name].append((2, words))
    graded = {name: sorted(reasons, key=lambda reason: reason[0]) for name, reasons in found.items() if reasons}
    ranked = sorted(graded.items(), key=lambda item: (item[1][0][0], -len(item[1])))
    return {name: [words for _, words in reasons] for name, reasons in ranked}


def sided(structures: Iterable[str]) -> tuple[str, ...]:
    """Return the structures whose names say left or right, so that a mirrored image has them exchanged.

    >>> sided(["left lung", "heart", "kidney_r"])
    ('left lung', 'kidney_r')
    """
    return tuple(name for name in structures if _SIDES.search(name))


def _of_labels(each: Glimpse, single: set[str]) -> Iterator[tuple[int, str]]:
    for label_set, measures in each.measures.items():
        if measures.pixels and not np.ptp(each.view):
            yield 0, f"{label_set}: labels on an image of one value"
        if measures.covered > 0.95:
            yield (
                0,
                f"{label_set}: {measures.covered:.0%} of the image is labelled: background and object may be exchanged",
            )
        if label_set in each.labels:
            better = better_place(each.view, each.labels[label_set], instances=label_set in single)
            if better:
                yield 0, f"{label_set}: the labels fit the image better {better}"
        if label_set in single and measures.torn:
            yield 1, f"{label_set}: {_counted(measures.torn, 'object')} in several pieces ({_some(measures.torn)})"
        specks = [number for number, size in measures.pixels.items() if size <= SPECK and number not in measures.cut]
        if label_set in single and specks:
            yield 1, f"{label_set}: {_counted(specks, 'object')} of {SPECK} pixels or fewer ({_some(specks)})"


def _of_image(each: Glimpse) -> Iterator[tuple[int, str]]:
    for channel, share in zip(each.channels, each.clipped, strict=True):
        if share > CLIPPED:
            yield 2, f"{share:.0%} of {channel} has the largest number its type can hold: light was cut off"
    if each.overlays:
        yield 1, f"seems to be written on: {'; '.join(each.overlays)}"


def _unlike_others(
    label_set: str, measured: Mapping[str, LabelMeasures], *, counted: bool
) -> Iterator[tuple[str, str]]:
    if len(measured) < _FEW:
        return
    looks = {"labelled share": {name: 100 * each.covered for name, each in measured.items()}}
    if counted:
        looks["number of objects"] = {name: float(len(each.pixels)) for name, each in measured.items()}
    for what, values in looks.items():
        usual = float(np.median(list(values.values())))
        unit = " %" if what == "labelled share" else ""
        for name in far_off(values):
            yield name, f"{label_set}: {what} is {values[name]:.3g}{unit}, in most images about {usual:.3g}{unit}"


def far_off(values: Mapping[str, float]) -> tuple[str, ...]:
    """Return the names whose values, none below 0, are far from the others', on a logarithmic scale.

    >>> far_off({"a": 100.0, "b": 110.0, "c": 95.0, "d": 105.0, "e": 2.0, "f": 98.0})
    ('e',)
    """
    logs = {name: float(np.log1p(value)) for name, value in values.items()}
    middle = float(np.median(list(logs.values())))
    spread = 1.4826 * float(np.median([abs(value - middle) for value in logs.values()]))
    return tuple(name for name, value in logs.items() if abs(value - middle) > _FAR * max(spread, 0.05))


def better_place(view: Float[np.ndarray, "c y x"], labels: Int[np.ndarray, "y x"], *, instances: bool) -> str:
    """Return in words where a label would fit its image much better than where it is; empty if nowhere.

    The label is laid on the image mirrored, turned by half, transposed (a square one), and shifted;
    the fit is the largest correlation, of either sign, with any channel. A label of few objects is not
    judged: it may fit a dark corner better than a lesion.

    Args:
        view: The image, small.
        labels: Numbers of objects or classes; 0 is background.
        instances: Whether each number is one object. Otherwise each connected piece is.
    """
    mask = labels != 0
    objects = np.unique(labels[mask]).size if instances else pieces_of(mask)[1]
    if objects < _OBJECTS or mask.all():
        return ""
    planes = [plane - plane.mean() for plane in view if np.ptp(plane) > 0]
    if not planes:
        return ""
    own = _fit(planes, mask)
    others = {
        "mirrored left to right": mask[:, ::-1],
        "mirrored top to bottom": mask[::-1],
        "turned by half": mask[::-1, ::-1],
    }
    if mask.shape[0] == mask.shape[1]:
        others["with x and y exchanged"] = mask.T
    fits = {words: _fit(planes, other) for words, other in others.items()}
    words, fit = max(fits.items(), key=lambda item: item[1])
    shift, shifted = _best_shift(planes, mask)
    if shifted > fit:
        words, fit = shift, shifted
    return words if fit > own + _BETTER and fit > 1.5 * own else ""


def _fit(planes: Sequence[Float[np.ndarray, "y x"]], mask: Bool[np.ndarray, "y x"]) -> float:
    centred = mask - mask.mean()
    return max(
        abs(float((plane * centred).sum())) / float(np.linalg.norm(plane) * np.linalg.norm(centred)) for plane in planes
    )


def _best_shift(planes: Sequence[Float[np.ndarray, "y x"]], mask: Bool[np.ndarray, "y x"]) -> tuple[str, float]:
    """Return the shift (around the edges) at which a mask fits best, in words, and how well it fits there."""
    height, width = mask.shape
    centred = mask - mask.mean()
    turned = np.conj(np.fft.rfft2(centred))
    down, right = (np.round(np.fft.fftfreq(length) * length).astype(int) for length in (height, width))
    near = (np.abs(down) <= _NEAR * height)[:, None] & (np.abs(right) <= _NEAR * width)
    best, words = 0.0, ""
    for plane in planes:
        every = np.abs(np.fft.irfft2(np.fft.rfft2(plane) * turned, s=mask.shape)) * near
        y, x = np.unravel_index(int(every.argmax()), every.shape)
        fit = float(every[y, x]) / float(np.linalg.norm(plane) * np.linalg.norm(centred))
        if fit > best:
            best = fit
            far = f"{100 * down[y] / height:+.0f} % of its height and {100 * right[x] / width:+.0f} % of its width"
            words = f"shifted by {far}"
    return words.replace("-", "−"), best


def _counted(numbers: Sequence[int], thing: str) -> str:
    return f"{len(numbers):,} {thing}{'' if len(numbers) == 1 else 's'}"


def _some(numbers: Sequence[int]) -> str:
    rest = ", ..." if len(numbers) > 3 else ""
    return f"number{'' if len(numbers) == 1 else 's'} {', '.join(map(str, numbers[:3]))}{rest}"
