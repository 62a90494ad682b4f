"""Names of the channels of an opened file."""

from collections import Counter
from collections.abc import Sequence

from segdistill.data.channels import COLOURS, UNNAMED
from segdistill.errors import DataError


def name_channels(
    count: int, *, found: Sequence[str | None] = (), given: Sequence[str] | None = None, source: str
) -> tuple[str, ...]:
    """Return the name of each channel, in the file's order.

    Args:
        count: How many channels the file has.
        found: Names that the file states, one per channel; None for a channel without one. Taken
            for nothing if their number is not ``count``.
        given: Names that the user states; they override the file's, but may not put one of these elsewhere. None
            where the user says nothing.
        source: File name, for messages.

    A single channel without a name is ``channel0``; of several, those without are ``c0``, ``c1``, ...
    by their place.

    Raises:
        DataError: The user names another number of channels, or calls one by a name that the file gives to
            another; or two have one name.

    >>> name_channels(3, found=["DAPI", None, "actin"], source="a.tif")
    ('DAPI', 'c1', 'actin')
    """
    if given is not None and len(given) != count:
        stated = ", ".join(name for name in found if name) or "no names"
        raise DataError(
            f"{source} has {count} channels (the file says: {stated}), but --channels names {len(given)}:"
            f" {', '.join(given)}. Name all of the file's channels, in its order."
        )
    if given is not None:
        _refuse_moved(found, given, source)
        names = tuple(given)
    elif len(found) == count:
        names = tuple((name or "").strip() or _default(place, count) for place, name in enumerate(found))
    else:
        names = tuple(_default(place, count) for place in range(count))
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise DataError(
            f"{source} has several channels called {', '.join(twice)} (all: {', '.join(names)})."
            " Give each its own name with --channels, in the file's order."
        )
    return names


def replaced_names(found: Sequence[str | None], given: Sequence[str] | None) -> tuple[str, ...]:
    """Return the names that a file states, where the user's stand in place of some of them; else ().

    Args:
        found: As in ``name_channels``.
        given: As in ``name_channels``.

    >>> replaced_names(["DAPI", None], ["nucleus", "actin"]), replaced_names(["DAPI"], ["dapi"])
    (('DAPI', 'c1'), ())
    """
    if given is None or len(found) != len(given):
        return ()
    own = [_folded(name) for name in found]
    if not any(name and name != _folded(other) for name, other in zip(own, given, strict=True)):
        return ()
    return tuple((name or "").strip() or _default(place, len(found)) for place, name in enumerate(found))


def _refuse_moved(found: Sequence[str | None], given: Sequence[str], source: str) -> None:
    """Refuse to call a channel by a name that the file gives to another one."""
    if len(found) != len(given):
        return
    own = [_folded(name) for name in found]
    moved = [name for name, there in zip(given, own, strict=True) if _folded(name) != there and _folded(name) in own]
    if moved:
        stated = ", ".join((name or "").strip() or "one without a name" for name in found)
        raise DataError(
            f"{source} names its channels itself: {stated}. But --channels names them {', '.join(given)}, which puts"
            f" {' and '.join(moved)} elsewhere. Leave out --channels, for channels are found by name, whatever their"
            " order; or give names in this file's order. If those in the file are wrong, correct them there."
        )


def _folded(name: str | None) -> str:
    return (name or "").strip().casefold()


def colour_names(samples: int) -> tuple[str, ...]:
    """Return the names of the samples of a colour picture without its alpha; () if it has other than three.

    >>> colour_names(3)
    ('red', 'green', 'blue')
    """
    return COLOURS if samples == len(COLOURS) else ()


def _default(place: int, count: int) -> str:
    return UNNAMED if count == 1 else f"c{place}"
