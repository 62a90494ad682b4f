"""A site on this machine that can stop half way, send other bytes, ignore ranges and ask for tokens."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@dataclass
class Site:
    """What the site has and how it misbehaves."""

    files: dict[str, bytes] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    """Path and headers of every request."""
    stops: list[int] = field(default_factory=list)
    """After so many bytes of the next answers the connection is cut."""
    statuses: list[int] = field(default_factory=list)
    """The next answers have these."""
    ranges: bool = True
    """Whether ranges are honoured."""
    kind: str = "application/octet-stream"
    moved: dict[str, str] = field(default_factory=dict)
    posted: Callable[[dict[str, str], bytes], tuple[int, bytes]] | None = None
    address: str = ""


def _handler(site: Site) -> type[BaseHTTPRequestHandler]:  # noqa: C901  (one site with all its faults)
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

        def do_POST(self) -> None:
            site.seen.append((self.path, dict(self.headers)))
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, answer = site.posted(dict(self.headers), body) if site.posted else (404, b"")
            self._say(status, answer)

        def do_GET(self) -> None:
            site.seen.append((self.path, dict(self.headers)))
            name = self.path.lstrip("/")
            if name in site.moved:
                self.send_response(302)
                self.send_header("Location", site.moved[name])
                self.send_header("Content-Length", "0")
                self.end_headers()
            elif site.statuses:
                self._say(site.statuses.pop(0), b"no")
            elif name not in site.files:
                self._say(404, b"")
            else:
                self._send(name)

        def _say(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _send(self, name: str) -> None:
            content, tag, start = site.files[name], site.tags.get(name), 0
            wanted = self.headers.get("Range")
            if wanted and site.ranges and self.headers.get("If-Range", tag) == tag:
                start = int(wanted.removeprefix("bytes=").rstrip("-"))
                if start >= len(content):
                    self._say(416, b"")
                    return
            part = content[start:]
            self.send_response(206 if start else 200)
            self.send_header("Content-Type", site.kind)
            self.send_header("Content-Length", str(len(part)))
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            if tag:
                self.send_header("ETag", tag)
            self.end_headers()
            stop = site.stops.pop(0) if site.stops else len(part)
            self.wfile.write(part[:stop])
            if stop < len(part):
                self.close_connection = True

    return Handler


@pytest.fixture
def site(monkeypatch) -> Iterator[Site]:
    """A site of this test's own."""
    for name in ("SEGDISTILL_OFFLINE", "HF_HUB_OFFLINE", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    site = Site()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(site))
    site.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield site
    server.shutdown()
    thread.join()
    server.server_close()


def sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@pytest.fixture(name="sha256")
def give_sha256():
    return sha256
