"""Telling that the user's names of channels stand in place of those that files state."""

from collections.abc import Mapping, Sequence

from segdistill.data.case import numbered
from segdistill.data.pseudonyms import is_pseudonym


def renamed_words(stated: Mapping[str, Sequence[str]], given: Sequence[str] | None, *, among: int) -> str | None:
    """Return a sentence on files whose own names of channels are not those that the user gave; None for no file.

    Of images under pseudonyms no name is told that stands in a file.

    Args:
        stated: By name of the image, the names that its file states. Empty ones do not count.
        given: The user's names.
        among: How many images there are.

    >>> renamed_words({"a": ("DAPI", "actin"), "b": ()}, ("nucleus", "membrane"), among=2)
    '--channels renames the channels of 1 of 2 images: a, whose file says DAPI, actin, has nucleus, membrane.'
    """
    found = {name: names for name, names in stated.items() if names}
    if not found:
        return None
    name, names = next(iter(found.items()))
    told = f"--channels renames the channels of {len(found)} of {numbered(among, 'image')}"
    if is_pseudonym(name):
        return f"{told}: their files say other names."
    return f"{told}: {name}, whose file says {', '.join(names)}, has {', '.join(given or ())}."
