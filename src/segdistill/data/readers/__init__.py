"""Readers of image files: one file per family of formats, one function to open them all."""

from segdistill.data.readers.opening import (
    BUILTIN,
    Reader,
    conversion_hint,
    count_label_planes,
    count_planes,
    is_known,
    open_image,
    read_image,
    suffix_of,
)

__all__ = [
    "BUILTIN",
    "Reader",
    "conversion_hint",
    "count_label_planes",
    "count_planes",
    "is_known",
    "open_image",
    "read_image",
    "suffix_of",
]
