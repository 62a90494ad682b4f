"""The page of drawn images: one offline file with real and drawn ones side by side, and what comes near to a copy."""

from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from segdistill.files import whole_file
from segdistill.report import wording
from segdistill.report.synthesis_content import SynthesisContent
from segdistill.report.tables import csv_download

STYLES = ("report.css", "check.css", "synthesis.css")


def write_synthesis(path: Path, content: SynthesisContent) -> None:
    """Write the page, whole or not at all.

    Args:
        path: The file's name; an older file of that name is replaced.
        content: What to show. All of its text is escaped.

    Raises:
        EnvironmentFault: The page cannot be written.
    """
    environment = Environment(
        loader=PackageLoader("segdistill.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(vars(wording))
    style = "\n".join(files("segdistill.report").joinpath(name).read_text(encoding="utf-8") for name in STYLES)
    page = environment.get_template("synthesis.html").render(
        content=content,
        style=Markup(style),  # noqa: S704 (files of this package)
        dropped_csv=csv_download("dropped", ["file", "reason", "distance"], content.dropped),
        measures_csv=csv_download(
            "frechet_distances", ["between", "mean", "deviation over draws", "images on a side"], content.measures
        ),
    )
    with whole_file(path) as partial:
        partial.write_bytes(page.encode("utf-8", errors="backslashreplace"))
