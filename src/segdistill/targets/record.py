"""One line of a store's index: which arrays a record has, where they lie, and how to know them again."""

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np


class Key(NamedTuple):
    """What a record is about."""

    image: str
    """Hash of the image: ``image_key``."""

    view: int = 0
    """Number of the view in the header."""


@dataclass(frozen=True)
class Place:
    """An array in a shard."""

    offset: int
    """First byte."""

    shape: tuple[int, ...]
    """Of the array."""

    dtype: str
    """As ``numpy.dtype.str``, byte order included."""

    crc32: int
    """Checksum of its bytes."""

    @property
    def size(self) -> int:
        """Number of bytes."""
        return int(np.prod(self.shape, dtype=np.int64)) * np.dtype(self.dtype).itemsize

    @property
    def end(self) -> int:
        """First byte behind it."""
        return self.offset + self.size


@dataclass(frozen=True)
class Record:
    """What the index knows of one key."""

    key: Key
    arrays: Mapping[str, Place]
    parameters: Mapping[str, Any]
    """JSON values: the case, which fold's teacher, the error of storing, ..."""

    @property
    def end(self) -> int:
        """First byte of the shard behind all its arrays."""
        return max((place.end for place in self.arrays.values()), default=0)


def to_line(record: Record) -> str:
    """Return a record as one line of JSON that carries its own checksum.

    >>> from_line(to_line(Record(Key("ab"), {}, {"case": "a"}))).parameters
    {'case': 'a'}
    """
    arrays = {
        name: {"offset": place.offset, "shape": list(place.shape), "dtype": place.dtype, "crc32": place.crc32}
        for name, place in record.arrays.items()
    }
    body = {"image": record.key.image, "view": record.key.view, "arrays": arrays, "parameters": dict(record.parameters)}
    return json.dumps(body | {"check": _check(body)}, allow_nan=False)


def from_line(line: str) -> Record | None:
    """Return the record of a line, or None for a line that is torn or damaged.

    >>> from_line(to_line(Record(Key("ab"), {}, {}))[:-3]) is None
    True
    """
    try:
        body = json.loads(line)
        found = body.pop("check")
        if found != _check(body):
            return None
        arrays = {
            name: Place(place["offset"], tuple(place["shape"]), place["dtype"], place["crc32"])
            for name, place in body["arrays"].items()
        }
        return Record(Key(body["image"], body["view"]), arrays, body["parameters"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _check(body: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(body, sort_keys=True).encode())
