"""Telling a person something: whoever calls hands in a function that takes one line."""


def unheard(text: str) -> None:
    """Say nothing, in every process but the first."""
