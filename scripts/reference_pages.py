"""MkDocs hook: a page of the reference for every package, from its public names and their docstrings."""

import inspect
from importlib import import_module
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

PACKAGES = (
    "segdistill",
    "segdistill.settings",
    "segdistill.data.simulate",
    "segdistill.data",
    "segdistill.datasets",
    "segdistill.augment",
    "segdistill.networks",
    "segdistill.teachers",
    "segdistill.targets",
    "segdistill.objectives",
    "segdistill.training",
    "segdistill.engine",
    "segdistill.inference",
    "segdistill.export",
    "segdistill.evaluation",
    "segdistill.study",
    "segdistill.testing",
    "segdistill.errors",
)
"""From what most people need to what few do."""

SHORT = "segdistill"
"""Offers names of the others, for short."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the reference's pages and their index."""
    rows = ["# Reference", "", "Everything public, package by package.", "", "| package | what |", "|---|---|"]
    shown: set[str] = set()
    for package in PACKAGES:
        page = f"reference/{package}.md"
        files.append(File.generated(config, page, content=page_of(package, shown)))
        rows.append(f"| [`{package}`]({page}) | {summary(import_module(package))} |")
    files.append(File.generated(config, "reference.md", content="\n".join(rows) + "\n"))
    return files


def page_of(package: str, shown: set[str]) -> str:
    """Return the page of a package: what it is, then each public name, or a link where it was shown before."""
    module = import_module(package)
    head = f"# `{package}`\n\n{summary(module)}\n\n"
    places = {name: place(module, name) for name in public_names(module)}
    if package == SHORT:
        return head + "".join(f"- [`{name}`][{where}]\n" for name, where in places.items())
    new = [where for where in places.values() if where not in shown]
    shown.update(new)
    return head + "\n\n".join(f"::: {where}" for where in new) + "\n"


def public_names(module: Any) -> list[str]:
    """Return the names that a package offers; of a plain module, those that it defines."""
    if hasattr(module, "__path__"):
        offered = getattr(module, "__all__", None) or [*getattr(module, "_WHERE", {})]
        return sorted(offered, key=str.casefold)
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]


def place(module: Any, name: str) -> str:
    """Return where a public name is defined, as dotted names."""
    value = getattr(module, name)
    if inspect.isclass(value) or inspect.isfunction(value):
        return f"{value.__module__}.{value.__qualname__}"
    where = getattr(module, "_WHERE", {}).get(name)  # a constant that is imported when it is first used
    return f"{module.__name__}.{where}.{name}" if where else f"{module.__name__}.{name}"


def summary(module: Any) -> str:
    """Return the first sentence of a module's docstring."""
    return (module.__doc__ or "").strip().splitlines()[0]
