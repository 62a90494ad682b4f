"""Opening an address: https with checked certificates, and no token carried to another site."""

import http.client
from typing import Any
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from segdistill.errors import EnvironmentFault

TIMEOUT = 60.0
"""A site that says nothing for so long is given up, seconds."""

_HERE = {"localhost", "127.0.0.1", "::1"}
_SECRET = ("Authorization", "X-api-key", "Cookie")
"""Headers that name a person, as urllib spells them."""


def open_url(request: Request, *, timeout: float = TIMEOUT) -> http.client.HTTPResponse:
    """Return the answer to a request, after redirections.

    Args:
        request: Its headers may hold a token.
        timeout: Longest silence, seconds.

    Raises:
        EnvironmentFault: The address, or one that it redirects to, is not https (this machine's own excepted).
        OSError: The site cannot be reached or refuses; an ``HTTPError`` where it answered.
    """
    _refuse_open(request.full_url)
    return build_opener(_Redirection).open(request, timeout=timeout)


class _Redirection(HTTPRedirectHandler):
    """Follows to https only, and leaves headers with a token behind where the site changes."""

    def redirect_request(self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Request | None:
        new = super().redirect_request(req, fp, code, msg, headers, newurl)
        if new is None:
            return None
        _refuse_open(new.full_url)
        if _site(new.full_url) != _site(req.full_url):
            for name in _SECRET:
                new.remove_header(name)
        return new


def _site(address: str) -> tuple[str | None, str | None, int | None]:
    parts = urlsplit(address)
    return parts.scheme, parts.hostname, parts.port


def _refuse_open(address: str) -> None:
    parts = urlsplit(address)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _HERE):
        raise EnvironmentFault(
            f"{parts.scheme}://{parts.hostname} is not https, so what comes from there could be anybody's."
            " It is refused."
        )
