"""Readers of image files: one file per family of formats, one function to open them all."""

from segdistill.data.readers.opening import BUILTIN, Reader, open_image, read_image

__all__ = ["BUILTIN", "Reader", "open_image", "read_image"]
