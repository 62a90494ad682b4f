"""The page of a check: one offline file with a contact sheet, histograms and everything that was found."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int
from markupsafe import Markup

from segdistill.data.drawing import YELLOW, false_colour, hatched, outline, tint
from segdistill.errors import EnvironmentFault
from segdistill.files import whole_file
from segdistill.report import wording
from segdistill.report.check_content import ChannelHistograms, CheckContent
from segdistill.report.encoding import fitted_labels, fitted_view, picture_uri
from segdistill.report.frame import framed
from segdistill.report.svg import drawing, element
from segdistill.report.tables import Download, csv_download

MARK = '<meta name="generator" content="segdistill check">'
"""By which an older page of this kind is known."""


def contact_picture(
    view: Float[np.ndarray, "c y x"],
    channels: Iterable[str],
    labels: Iterable[Int[np.ndarray, "y x"]],
    counts: Bool[np.ndarray, "y x"],
    *,
    side: int,
) -> str:
    """Return a small picture of a case with its labels outlined, as a ``data:`` address.

    Args:
        view: The image, 0 to 1.
        channels: Names, in order.
        labels: One plane for each label set; every change of number is an outline.
        counts: Pixels that do not count are hatched.
        side: Longer side of the picture, pixels at most.
    """
    picture = false_colour(fitted_view(view, side), tuple(channels))
    for plane in labels:
        picture = tint(picture, outline(fitted_labels(plane, side)), YELLOW, 0.9)
    shown = fitted_labels(counts, side)
    return picture_uri(picture if shown.all() else hatched(picture, shown))


def write_check(path: Path, content: CheckContent) -> None:
    """Write the page of a check, whole or not at all.

    Args:
        path: The file's name. An older page of a check is replaced.
        content: What to show. All of its text is escaped.

    Raises:
        EnvironmentFault: There is another file of that name, or the page cannot be written.
    """
    refuse_other_files(path)
    with whole_file(path) as partial:
        partial.write_bytes(_rendered(content))


def refuse_other_files(path: Path) -> None:
    """Refuse a place for the page where something else is that would be lost.

    Raises:
        EnvironmentFault: There is a file that no check wrote, or a folder.
    """
    if path.is_dir() or (path.exists() and MARK.encode() not in path.read_bytes()[:2000]):
        raise EnvironmentFault(
            f"{path} is there and is no page of an earlier check. Name another file with --page, or remove it."
        )


@dataclass(frozen=True, kw_only=True)
class _Histogram:
    channel: str
    low: str
    high: str
    stored: Markup
    normalised: Markup
    csv: Download


def _rendered(content: CheckContent) -> bytes:
    return framed(
        "check.html",
        styles=("report.css", "check.css"),
        content=content,
        mark=Markup(MARK),  # noqa: S704 (written above)
        histograms=[_histogram(each) for each in content.histograms],
        images_csv=csv_download("images", ["image", "size", "type", "pixel size", "channels"], content.images),
        balance_csv=csv_download(
            "balance",
            ["label set", "structure", "images", "labelled images", "share of pixels", "objects", "median size"],
            [
                (
                    each.label_set,
                    each.structure,
                    each.images,
                    each.of_images,
                    each.share,
                    each.objects,
                    each.median_size,
                )
                for each in content.balance
            ],
        ),
    )


def _histogram(each: ChannelHistograms) -> _Histogram:
    rows = [
        (case, kind, place, share)
        for kind, lines in (("stored", each.stored), ("normalised", each.normalised))
        for case, shares in lines.items()
        for place, share in enumerate(shares.tolist())
    ]
    return _Histogram(
        channel=each.channel,
        low=wording.as_number(each.low),
        high=wording.as_number(each.high),
        stored=_lines(each.stored, f"{each.channel}: histogram of each image as stored"),
        normalised=_lines(each.normalised, f"{each.channel}: histogram of each image after normalisation"),
        csv=csv_download(f"histogram_{each.channel}", ["image", "what", "bin", "share of pixels"], rows),
    )


def _lines(shares: Mapping[str, Float[np.ndarray, " bins"]], label: str) -> Markup:
    """Return one faint line per image; heights are square roots, so that rare bright pixels are seen."""
    top = max((float(np.sqrt(values.max())) for values in shares.values() if values.size), default=1.0) or 1.0
    drawn = []
    for name, values in shares.items():
        across = (np.arange(values.size) + 0.5) * 100 / values.size
        points = " ".join(
            f"{x:.1f},{100 - 96 * np.sqrt(value) / top:.1f}" for x, value in zip(across, values, strict=True)
        )
        drawn.append(element("polyline", element("title", name), points=points, class_="trace"))
    inner = element("svg", *drawn, viewBox="0 0 100 100", preserveAspectRatio="none", width="100%", height="100%")
    return drawing(inner, label=label, class_="plot histogram")
