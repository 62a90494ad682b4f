"""Refusals that all readers share: damaged files, pixel types nobody can use, claims no file can keep."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from segdistill.errors import DataError, SegdistillError

_BOMB_BYTES = 2**30
_BOMB_RATIO = 1_500


@contextmanager
def reading(source: str, kind: str) -> Iterator[None]:
    """Turn whatever a decoder raises into a ``DataError`` that names the file.

    Args:
        source: File name.
        kind: What the file should be, such as "TIFF".

    Keep the block to calls of the decoder: an error of ours in it would be laid at the file's door.

    >>> with reading("a.tif", "TIFF"):
    ...     raise ValueError("corrupted strip")
    Traceback (most recent call last):
    segdistill.errors.DataError: a.tif cannot be read as TIFF: corrupted strip. ...
    """
    try:
        yield
    except SegdistillError:
        raise
    except MemoryError as error:
        raise DataError(
            f"{source} does not fit into memory ({_first_line(error)})."
            " Read it by windows, or save it as a tiled TIFF or OME-Zarr so that it can be."
        ) from error
    except PermissionError as error:
        raise DataError(
            f"{source} cannot be read: the right to read it is missing ({_first_line(error)})."
            " Give yourself that right, for example with chmod u+r, or ask whose file it is."
        ) from error
    except Exception as error:
        # Feeding decoders damaged files shows that they raise nearly everything: SyntaxError from pillow,
        # TokenError from NumPy, AssertionError from tifffile. The cause is kept.
        raise DataError(
            f"{source} cannot be read as {kind}: {_first_line(error)}."
            " It is damaged, cut short or of another format: copy or export it again from its source."
        ) from error


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__).rstrip(".")


def refuse_claim(claimed: int, stored: int, *, source: str, exact: bool = False) -> None:
    """Refuse a header that claims more pixels than the bytes behind it can hold.

    Args:
        claimed: Bytes that the pixels take when decoded.
        stored: Bytes there are in the file for them.
        source: File name.
        exact: True if the pixels are stored as they are. Otherwise they are compressed, and refused
            only above 1 GiB and 1,500 times their stored bytes, which ordinary compression does not reach.

    Raises:
        DataError: The claim cannot be true, or is that of a decompression bomb.

    >>> refuse_claim(40_000_000_000, 512, source="a.npy", exact=True)
    Traceback (most recent call last):
    segdistill.errors.DataError: a.npy claims 40,000,000,000 bytes of pixels, but the file holds 512 bytes for them. ...
    """
    if (exact and claimed > stored) or (claimed > _BOMB_BYTES and claimed > _BOMB_RATIO * stored):
        raise DataError(
            f"{source} claims {claimed:,} bytes of pixels, but the file holds {stored:,} bytes for them."
            " It is cut short or its header is wrong: copy or export it again from its source."
        )


def native_dtype(dtype: np.dtype | None, *, source: str) -> np.dtype:
    """Return the type in which pixels are handed out: the stored one, in this machine's byte order.

    Truth values become uint8, 0 and 255, as when a picture program opens a black-and-white image.

    Raises:
        DataError: The pixels are complex numbers, Python objects, texts, records or wider than 64 bits.

    >>> native_dtype(np.dtype(">u2"), source="a.tif"), native_dtype(np.dtype(bool), source="a.tif")
    (dtype('uint16'), dtype('uint8'))
    """
    if dtype is None or dtype.kind not in "buif" or dtype.itemsize > 8:
        raise DataError(
            f"{source} holds {dtype or 'unknown'} values, but pixels must be integers or floating-point numbers of at"
            " most 64 bits. Save it as uint8, uint16 or float32 (of complex numbers, the magnitude)."
        )
    return np.dtype(np.uint8) if dtype.kind == "b" else dtype.newbyteorder("=")
