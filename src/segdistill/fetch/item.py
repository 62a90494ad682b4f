"""What can be fetched: a file, where it is and how it is recognised."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from segdistill.errors import ConfigError
from segdistill.fetch.doors import OPEN, Door

_LENGTHS = {"sha256": 64, "md5": 32}


@dataclass(frozen=True, kw_only=True)
class Item:
    """One file elsewhere."""

    name: str
    """Its name here."""

    address: str
    """URL, or what its door calls it."""

    checksum: str | None = None
    """``sha256:…``, or ``md5:…`` where its publisher gives no better; None where nobody published one."""

    megabytes: int | None = None
    """About how much it is; None: not known."""

    door: Door = OPEN
    """Who has to be asked."""

    def __post_init__(self) -> None:
        if Path(self.name).name != self.name or self.name in {"", ".", ".."}:
            raise ConfigError(f"A file cannot be called {self.name!r}: the name must have no folder in it.")
        if self.checksum is not None:
            kind, _, value = self.checksum.partition(":")
            if len(value) != _LENGTHS.get(kind, -1) or set(value) - set("0123456789abcdef"):
                raise ConfigError(
                    f"{self.checksum!r} is no checksum. It must be sha256: or md5: and hexadecimal digits."
                )


def checksum_of(path: Path, *, like: str = "sha256:") -> str:
    """Return the checksum of a file.

    Args:
        path: The file.
        like: A checksum, whose kind is used.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "a"
    >>> _ = file.write_bytes(b"")
    >>> checksum_of(file, like="md5:")
    'md5:d41d8cd98f00b204e9800998ecf8427e'
    """
    kind = like.partition(":")[0]
    with path.open("rb") as handle:
        return f"{kind}:{hashlib.file_digest(handle, kind).hexdigest()}"
