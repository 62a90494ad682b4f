"""Scalable drawings, written by hand: text stays text, colours come from the page's style sheet.

Horizontal places are percentages of the drawing and vertical sizes are pixels, so a drawing follows the
width of the page without its text growing or shrinking.
"""

from markupsafe import Markup

from segdistill.report.content import Role

_SHAPES: dict[Role, str] = {
    "baseline": "M-6 0a6 6 0 1 0 12 0a6 6 0 1 0-12 0z",
    "student": "M-7 0a7 7 0 1 0 14 0a7 7 0 1 0-14 0z",
    "control": "M0-7.5L7 5.5H-7z",
    "all-labels": "M-6-6H6V6H-6z",
    "teacher": "M0-8L8 0L0 8L-8 0z",
    "oracle": "M0-8L8 0L0 8L-8 0z",
}


def element(tag: str, *children: Markup | str, **attributes: str | float | None) -> Markup:
    """Return one element; every text in it is escaped.

    Args:
        tag: Name of the element.
        children: What it holds: elements, or text.
        attributes: ``stroke_width`` stands for ``stroke-width`` and ``class_`` for ``class``; floats are
            rounded to three digits; None: the attribute is left out.

    >>> element("text", "a < b", x="5%", class_="tick")
    Markup('<text x="5%" class="tick">a &lt; b</text>')
    """
    written = (
        Markup(' {}="{}"').format(name.strip("_").replace("_", "-"), _short(value))
        for name, value in attributes.items()
        if value is not None
    )
    whole = Markup("<{tag}{written}>{inside}</{tag}>")
    return whole.format(tag=tag, written=Markup("").join(written), inside=Markup("").join(children))


def drawing(*children: Markup, label: str, class_: str = "plot") -> Markup:
    """Return a whole drawing with the words that stand for it where it cannot be seen."""
    return element("svg", *children, class_=class_, role="img", aria_label=label)


def key(role: Role) -> Markup:
    """Return the mark of a role as a small drawing of its own, for legends and tables.

    >>> 'class="mark student"' in key("student")
    True
    """
    return element("svg", _shape(role), class_="key", viewBox="-9 -9 18 18", aria_hidden="true")


def mark(role: Role, x: float, *, tip: str) -> Markup:
    """Return the mark of a role in the middle of a band.

    Args:
        role: What the arm is for.
        x: Place, percent of the width.
        tip: Text that is shown when one points at it.
    """
    return element("svg", element("g", element("title", tip), _shape(role)), x=percent(x), y="50%", overflow="visible")


def glyph(path: str, x: float, class_: str) -> Markup:
    """Return a small path, drawn around a place (percent of the width) in the middle of a band."""
    return element("svg", element("path", d=path, class_=class_), x=percent(x), y="50%", overflow="visible")


def percent(place: float) -> str:
    """Return a place as SVG wants it.

    >>> percent(33.33333)
    '33.33%'
    >>> percent(-1e-9)
    '0.00%'
    """
    return f"{place:z.2f}%"


def _shape(role: Role) -> Markup:
    return element("path", d=_SHAPES[role], class_=f"mark {role}")


def _short(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:z.3f}".rstrip("0").rstrip(".")
