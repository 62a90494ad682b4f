"""Who has to be asked for a file, and how a token is shown to them. Tokens come from the environment alone."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request

from segdistill.errors import ConfigError, EnvironmentFault
from segdistill.fetch.web import open_url

Ask = Callable[[str, str], Request]
"""From an address and a token to the request that the file answers."""

_DEEPCELL = "https://users.deepcell.org/api/getData/"
_MOST = 2**16
"""An answer that names an address is shorter than this, bytes."""


@dataclass(frozen=True, kw_only=True)
class Door:
    """A site and its way of letting people in."""

    site: str
    """Where it is."""

    variable: str | None
    """Environment variable that holds the token; None where none is needed."""

    how: str
    """How to come by a token."""

    ask: Ask
    """Makes the request."""

    def request(self, address: str) -> Request:
        """Return the request for a file.

        Args:
            address: As the site knows the file.

        Raises:
            ConfigError: The token is missing or is no token. Its value is never shown.
            EnvironmentFault: The site does not answer, or does not accept the token.
        """
        return self.ask(address, self._token())

    def _token(self) -> str:
        if self.variable is None:
            return ""
        token = os.environ.get(self.variable, "")
        if not token:
            raise ConfigError(f"{self.site} wants a token, but {self.variable} is not set. {self.how}.")
        if token != token.strip() or not token.isascii() or not token.isprintable() or token[0] in "<\"'":
            raise ConfigError(
                f"{self.variable} does not look like a token: it has quotes, brackets, blanks or other characters"
                f" around it ({len(token)} characters; they are not shown). Set it to the bare token."
            )
        return token


def _ask_openly(address: str, token: str) -> Request:
    del token
    return Request(address)  # noqa: S310  (``open_url`` refuses what is not https)


def _ask_deepcell(address: str, token: str, *, site: str = _DEEPCELL) -> Request:
    """Exchange an asset's key for an address that is valid for a while."""
    question = Request(site, data=urlencode({"s3_key": address}).encode(), headers={"X-Api-Key": token})  # noqa: S310
    try:
        with open_url(question) as answer:
            named = json.loads(answer.read(_MOST))["url"]
    except HTTPError as error:
        error.close()
        reasons = {403: "the token is not valid, or has expired", 404: f"there is no file {address!r}"}
        reason = reasons.get(error.code, f"it answers with status {error.code}")
        raise EnvironmentFault(f"{site} does not hand out {address}: {reason}. {DEEPCELL.how}.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise EnvironmentFault(
            f"{site} answered something else than the address of {address}. Try again later."
        ) from error
    return Request(str(named))  # noqa: S310


OPEN = Door(site="the web", variable=None, how="No token is needed", ask=_ask_openly)
"""Files for everybody."""

DEEPCELL = Door(
    site="https://users.deepcell.org",
    variable="DEEPCELL_ACCESS_TOKEN",
    how="Register at https://users.deepcell.org (academic, non-commercial use), make a token there and set"
    " DEEPCELL_ACCESS_TOKEN to it",
    ask=_ask_deepcell,
)
"""Data and weights of the Van Valen laboratory."""
