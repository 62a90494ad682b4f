"""What every page of this package has in common: one offline file, its styles within, all text in it escaped."""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from segdistill.report import wording

NO_NAMES: Mapping[str, Any] = MappingProxyType({})


def resource(name: str) -> str:
    """Return the text of a file of this package."""
    return files("segdistill.report").joinpath(name).read_text(encoding="utf-8")


def framed(template: str, *, styles: Sequence[str], names: Mapping[str, Any] = NO_NAMES, **values: Any) -> bytes:
    r"""Return a page as UTF-8. Text that is not valid Unicode, as a file name may be, is written as ``\udc80``.

    Args:
        template: File of this package that fills in the frame.
        styles: Files of this package, one after another.
        names: What templates may call beside the words of ``wording``.
        values: What the template shows.
    """
    environment = Environment(
        loader=PackageLoader("segdistill.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(vars(wording) | dict(names))
    style = Markup("\n".join(map(resource, styles)))  # noqa: S704 (files of this package)
    page = environment.get_template(template).render(style=style, **values)
    return page.encode("utf-8", errors="backslashreplace")
