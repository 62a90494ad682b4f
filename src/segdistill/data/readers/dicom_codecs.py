"""Compressed DICOM pixels that pydicom cannot decode by itself, through imagecodecs.

pydicom calls a module such as this one a plugin, and looks for the names that are here. What it decodes without it:
RLE, JPEG and JPEG 2000 (pillow), JPEG-LS (pyjpegls).
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING

import imagecodecs
import numpy as np

if TYPE_CHECKING:
    from pydicom.pixels.decoders.base import DecodeRunner

_DECODERS: Mapping[str, Callable[[bytes], np.ndarray]] = {
    "1.2.840.10008.1.2.4.51": imagecodecs.jpeg8_decode,  # JPEG of 12 bits
    "1.2.840.10008.1.2.4.57": imagecodecs.jpegsof3_decode,  # JPEG lossless
    "1.2.840.10008.1.2.4.70": imagecodecs.jpegsof3_decode,  # the same, first-order prediction: what most scanners write
    "1.2.840.10008.1.2.4.201": imagecodecs.jpeg2k_decode,  # high-throughput JPEG 2000
    "1.2.840.10008.1.2.4.202": imagecodecs.jpeg2k_decode,
    "1.2.840.10008.1.2.4.203": imagecodecs.jpeg2k_decode,
}
DECODER_DEPENDENCIES = dict.fromkeys(_DECODERS, ("imagecodecs",))
"""What pydicom tells users to install."""


def is_available(uid: str) -> bool:
    """Return whether a transfer syntax is decoded here."""
    return uid in _DECODERS


@cache
def register() -> None:
    """Tell pydicom of this module, once."""
    from pydicom.pixels.decoders.base import get_decoder

    for uid in _DECODERS:
        get_decoder(uid).add_plugin("segdistill", (__name__, "decode_frame"))


def decode_frame(source: bytes, runner: "DecodeRunner") -> bytes:
    """Return the pixels of a frame, as pydicom wants them.

    Args:
        source: One compressed picture.
        runner: Told how many bits the decoded numbers have.
    """
    pixels = _DECODERS[runner.transfer_syntax](source)
    runner.set_option("bits_allocated", 8 * pixels.dtype.itemsize)
    runner.set_option("planar_configuration", 0)
    return pixels.tobytes()
