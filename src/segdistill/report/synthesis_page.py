"""The page of drawn images: one offline file with real and drawn ones side by side, and what comes near to a copy."""

from pathlib import Path

from segdistill.files import whole_file
from segdistill.report.frame import framed
from segdistill.report.synthesis_content import SynthesisContent
from segdistill.report.tables import csv_download


def write_synthesis(path: Path, content: SynthesisContent) -> None:
    """Write the page, whole or not at all.

    Args:
        path: The file's name; an older file of that name is replaced.
        content: What to show. All of its text is escaped.

    Raises:
        EnvironmentFault: The page cannot be written.
    """
    page = framed(
        "synthesis.html",
        styles=("report.css", "check.css", "synthesis.css"),
        content=content,
        dropped_csv=csv_download("dropped", ["file", "reason", "distance"], content.dropped),
        measures_csv=csv_download(
            "frechet_distances", ["between", "mean", "deviation over draws", "images on a side"], content.measures
        ),
    )
    with whole_file(path) as partial:
        partial.write_bytes(page)
