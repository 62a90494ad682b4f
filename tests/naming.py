"""Where files name somebody: in their own names, in plain bytes, and in what they hold packed."""

import base64
import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

_PACKED = re.compile(rb"base64,([A-Za-z0-9+/=]{16,})")
_CODES = ("utf-8", "utf-16-le", "utf-16-be")


def naming(folder: Path, *words: str) -> list[str]:
    """Return the files below a folder whose names or contents, unpacked, hold one of these words, in any case."""
    wanted = [word.lower().encode(code) for word in words for code in _CODES]
    return [
        str(path)
        for path in sorted(folder.rglob("*"))
        if any(word.lower() in path.relative_to(folder).as_posix().lower() for word in words)
        or (path.is_file() and any(word in part.lower() for part in _parts(path.read_bytes()) for word in wanted))
    ]


def _parts(content: bytes) -> Iterator[bytes]:
    """Yield a file's bytes, and those of whatever lies packed in it: archives, compressed streams, data addresses."""
    yield content
    if content.startswith(b"\x1f\x8b"):
        yield from _parts(gzip.decompress(content))
    if content.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                yield name.encode()
                yield from _parts(archive.read(name))
    if content.startswith(b"\x89PNG"):
        yield from _texts(content)
    for packed in _PACKED.findall(content):
        yield from _parts(base64.b64decode(packed))


def _texts(picture: bytes) -> Iterator[bytes]:
    """Yield the compressed texts of a PNG."""
    place = 8
    while place + 8 <= len(picture):
        length, kind = int.from_bytes(picture[place : place + 4]), picture[place + 4 : place + 8]
        if kind in {b"zTXt", b"iTXt", b"iCCP"}:
            _, _, rest = picture[place + 8 : place + 8 + length].partition(b"\0")
            for start in range(min(4, len(rest))):
                try:
                    yield zlib.decompress(rest[start:])
                except zlib.error:
                    continue
        place += 12 + length
