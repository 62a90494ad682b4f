"""Downloading one file: on where it stopped, checked before it has its name, never without being asked for."""

import http.client
import os
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.error import HTTPError
from urllib.request import Request

from segdistill.errors import DataError, EnvironmentFault
from segdistill.fetch.item import Item, checksum_of
from segdistill.fetch.ledger import check, record
from segdistill.fetch.offline import offline
from segdistill.fetch.web import open_url

Notice = Callable[[str], None]

_CHUNK = 2**20
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")
_LATER = {408, 425, 429, 500, 502, 503, 504}
"""Statuses after which a site may answer when asked again."""


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How often a file is asked for."""

    attempts: int = 5
    """After so many in a row that brought nothing it is given up."""

    pause: float = 1.0
    """Between the first two, seconds; doubled each time."""


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """A file that is here now."""

    path: Path
    """Where."""

    fresh: bool
    """Whether it came just now."""

    words: str
    """How it was recognised, for a person."""


_PATIENCE = Patience()


def download(item: Item, folder: Path, *, notice: Notice, patience: Patience = _PATIENCE) -> Fetched:
    """Bring a file into a folder, unless it is there.

    What came of an interrupted download stays as ``NAME.partial`` and is gone on with. The file has
    its name only once it is whole and, where a checksum was published, has that. Its SHA-256 is
    written to the folder's ledger, which later looks compare with.

    Args:
        item: The file.
        folder: Made if absent.
        notice: Told what is done.
        patience: How often it is asked for.

    Raises:
        EnvironmentFault: The network is forbidden or fails, the site refuses, or the disk is full.
        ConfigError: A token is missing.
        DataError: What is there or what came is not the file: its checksum is another.
    """
    found = check(item, folder)
    if found.state == "wrong":
        raise DataError(f"{found.words}. It is not overwritten: delete or rename it, then run the same command again.")
    if found.state == "new":
        record(folder, [item.name])
        return Fetched(path=found.path, fresh=False, words=f"{found.words} until now; recorded")
    if found.state != "absent":
        return Fetched(path=found.path, fresh=False, words=found.words)
    _refuse_offline(item, found.path)
    notice(f"Getting {item.name}{_size(item)} from {_shown(item)}")
    resumed = _transfer(item, found.path, notice, patience)
    if not _is_right(item, found.path) and resumed:
        notice(f"What came of {item.name} does not fit together. Beginning again.")
        _partial(found.path).unlink()
        _transfer(item, found.path, notice, patience)
    _refuse_wrong(item, found.path)
    _partial(found.path).replace(found.path)
    _tag(found.path).unlink(missing_ok=True)
    (checksum,) = record(folder, [item.name]).values()
    whose = "as published" if item.checksum else "trusted as the first download; nobody published one"
    return Fetched(path=found.path, fresh=True, words=f"{found.path}: {item.checksum or checksum}, {whose}")


def how_to_get(item: Item, target: Path) -> str:
    """Return in words where a file is, how it is recognised and where it belongs."""
    checksum = item.checksum or "no checksum was published"
    return f"{_shown(item)} ({checksum}) belongs in {target}. {item.door.how}."


def _refuse_offline(item: Item, path: Path) -> None:
    variable = offline()
    if variable:
        raise EnvironmentFault(
            f"{item.name} is not here, and {variable} forbids the network. {how_to_get(item, path)} Unset"
            f" {variable}, or copy the file there from a machine that has it."
        )


def _transfer(item: Item, path: Path, notice: Notice, patience: Patience) -> bool:
    """Fill the partial file, and return whether it was gone on with and not made in one go."""
    path.parent.mkdir(parents=True, exist_ok=True)
    resumed, idle = False, 0
    while True:
        before = _have(path)
        try:
            resumed |= _receive(item, path, notice)
        except HTTPError as error:
            error.close()
            _refuse_status(item, error)
            reason: Exception = error
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, EnvironmentFault):
                raise
            reason = error
        else:
            return resumed
        idle = 0 if _have(path) > before else idle + 1
        if idle >= patience.attempts:
            raise EnvironmentFault(
                f"{item.name} could not be fetched: {reason}. {_have(path):,} bytes of it are here, and the same"
                f" command goes on from them. {how_to_get(item, path)}"
            ) from reason
        time.sleep(patience.pause * 2**idle)


def _receive(item: Item, path: Path, notice: Notice) -> bool:
    """Append what is missing of the partial file, and return whether there was something to append to."""
    request, start = _request(item, path)
    try:
        answer = open_url(request)
    except HTTPError as error:
        if error.code != 416 or not start:
            raise
        error.close()
        if _is_right(item, path) and item.checksum:  # it had all come
            return True
        _partial(path).unlink()
        raise ConnectionError("the site has other bytes than those that came before") from error
    with answer:
        start, total = _place(answer, start)
        _refuse_page(item, answer)
        _refuse_full(path, total, start)
        _keep_tag(path, answer)
        with _opened(path, "ab" if start else "wb") as handle:
            _copy(answer, handle, _Progress(item.name, total, start, notice), path)
    came = _have(path)
    if total is not None and came > total:
        _partial(path).unlink()
        raise ConnectionError(f"{came:,} bytes came, but there are only {total:,}")
    if total is not None and came < total:
        raise ConnectionError(f"the connection ended after {came:,} of {total:,} bytes")
    return start > 0


def _request(item: Item, path: Path) -> tuple[Request, int]:
    """Return the request for what is missing, and how much is there.

    Without a published checksum a part is only gone on with if the site says that the file is the same.
    """
    request, start, tag = item.door.request(item.address), _have(path), _tag(path)
    known = tag.read_text(encoding="ascii") if tag.is_file() else ""
    request.add_header("User-Agent", "segdistill")
    request.add_header("Accept-Encoding", "identity")
    if not start or not (item.checksum or known):
        return request, 0
    request.add_header("Range", f"bytes={start}-")
    if known:
        request.add_header("If-Range", known)
    return request, start


def _place(answer: http.client.HTTPResponse, start: int) -> tuple[int, int | None]:
    """Return from where on the bytes of an answer are, and how long the whole file is if that is said."""
    if answer.status == 206:
        said = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
        if said is None or int(said[1]) != start:
            raise ConnectionError(f"the site sent another part than that from byte {start:,}")
        return start, int(said[2])
    length = answer.headers.get("Content-Length", "")
    return 0, int(length) if length.isdecimal() else None


def _copy(answer: http.client.HTTPResponse, handle: IO[bytes], progress: "_Progress", path: Path) -> None:
    while chunk := answer.read(_CHUNK):
        try:
            handle.write(chunk)
        except OSError as error:
            raise _unwritable(path, error) from error
        progress.add(len(chunk))
    handle.flush()
    os.fsync(handle.fileno())


def _opened(path: Path, kind: str) -> IO[bytes]:
    try:
        return _partial(path).open(kind)  # pyright: ignore[reportReturnType]  (both kinds are of bytes)
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> EnvironmentFault:
    return EnvironmentFault(
        f"{_partial(path)} cannot be written: {error}. Make room or choose another folder; the same command goes on"
        " from what came."
    )


def _keep_tag(path: Path, answer: http.client.HTTPResponse) -> None:
    """Keep what names this very state of the file, for ``If-Range``; weak tags do not."""
    tag = answer.headers.get("ETag", "")
    if tag.startswith('"') and tag.isascii():
        _tag(path).write_text(tag, encoding="ascii")
    else:
        _tag(path).unlink(missing_ok=True)


def _refuse_status(item: Item, error: HTTPError) -> None:
    """Raise what an answer means, unless it may be another one next time."""
    if error.code in _LATER:
        return
    reasons = {
        401: "it wants a token, or another one",
        403: "it does not let you in",
        404: "it has no such file",
        410: "it no longer has the file",
    }
    reason = reasons.get(error.code, "it refuses")
    raise EnvironmentFault(
        f"{_shown(item)} cannot be fetched: {reason} (status {error.code}). {item.door.how}."
    ) from error


def _refuse_page(item: Item, answer: http.client.HTTPResponse) -> None:
    if answer.headers.get_content_type() == "text/html" and not item.name.endswith((".html", ".htm")):
        raise EnvironmentFault(
            f"{_shown(item)} answers with a web page and not with {item.name}: open it in a browser and see what it"
            " asks for."
        )


def _refuse_full(path: Path, total: int | None, start: int) -> None:
    free = shutil.disk_usage(path.parent).free
    if total is not None and total - start > free:
        raise EnvironmentFault(
            f"There is no room for {path}: {total - start:,} bytes are to come, but {free:,} are free. Make room or"
            " choose another folder."
        )


def _is_right(item: Item, path: Path) -> bool:
    return item.checksum is None or checksum_of(_partial(path), like=item.checksum) == item.checksum


def _refuse_wrong(item: Item, path: Path) -> None:
    if _is_right(item, path):
        return
    found = checksum_of(_partial(path), like=item.checksum or "sha256:")
    _partial(path).unlink()
    raise DataError(
        f"What came from {_shown(item)} is not the published file: it has {found}, not {item.checksum}. It was deleted."
        " Somebody may have changed it on its way; try another network, and tell its publisher if it stays so."
    )


def _shown(item: Item) -> str:
    """Return where a file is, for a person; addresses that the door makes of it are secrets and never shown."""
    return item.address if "://" in item.address else f"{item.address} at {item.door.site}"


def _size(item: Item) -> str:
    return "" if item.megabytes is None else f" (about {item.megabytes:,} MB)"


def _have(path: Path) -> int:
    partial = _partial(path)
    return partial.stat().st_size if partial.is_file() else 0


def _partial(path: Path) -> Path:
    return path.with_name(f"{path.name}.partial")


def _tag(path: Path) -> Path:
    return path.with_name(f"{path.name}.partial.tag")


class _Progress:
    """Tells every tenth of a long download."""

    def __init__(self, name: str, total: int | None, start: int, notice: Notice) -> None:
        self.name, self.total, self.notice = name, total, notice
        self.have = start
        self.told = self._tenths()

    def add(self, count: int) -> None:
        self.have += count
        if self._tenths() > self.told:
            self.told = self._tenths()
            self.notice(f"  {self.name}: {10 * self.told} %")

    def _tenths(self) -> int:
        long = self.total is not None and self.total > 10 * _CHUNK
        return 10 * self.have // self.total if long and self.total else 0
