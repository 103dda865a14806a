"""Who may ask: the right host name, the right origin, the right token.

- Host: a page of another site can point a name of its own at this machine (DNS rebinding); its requests then carry
  that name, which is not in the list.
- Origin: a page of another site can send requests here with this browser's cookie; browsers name the page's origin.
- Token: anybody who can reach the port can ask; only who was given the token gets an answer.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import secrets
import socket
from collections.abc import Collection

from aiohttp import hdrs
from aiohttp.web import BaseRequest

from edgeseg_runtime.address import Address
from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.web.refusals import Refused

TOKEN_LETTERS = 16
"""Below this length a token can be guessed."""

_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?", re.ASCII)
_OWN_SITE = ("same-origin", "none")


class HostList:
    """The names and addresses by which the viewer may be called; a port says nothing about who calls."""

    def __init__(self, address: Address, extra: Collection[str] = ()) -> None:
        self._any_address = address.wildcard
        names = {address.host, *extra}
        if address.loopback:
            names |= {"localhost", "127.0.0.1", "::1"}
        else:
            own = socket.gethostname()
            names |= {own, f"{own}.local"}
            if address.wildcard:
                names |= {"localhost"}
        self._names = frozenset(name.lower() for name in names)

    def check(self, request: BaseRequest) -> None:
        """Raise Refused unless the request has one Host header, and a known one."""
        given = request.headers.getall(hdrs.HOST, [])
        if len(given) != 1 or (found := _AUTHORITY.fullmatch(given[0])) is None:
            raise Refused(400, "a request needs one Host header")
        name = found[1].strip("[]").lower()
        # an address cannot be rebound, so where all addresses are listened on, all are right
        if name not in self._names and not (self._any_address and _is_address(name)):
            raise Refused(421, "the viewer is not known by this name; its owner can allow more names")


def check_origin(request: BaseRequest) -> None:
    """Raise Refused if a page of another site sent the request; a link on one may be followed.

    Programs that are no browsers name no origin.
    """
    site = request.headers.get("Sec-Fetch-Site")
    followed = request.method == hdrs.METH_GET and request.headers.get("Sec-Fetch-Mode") == "navigate"
    if site is not None and site not in _OWN_SITE and not followed:
        raise Refused(403, "pages of other sites may not use the viewer")
    host = request.headers[hdrs.HOST]
    for origin in request.headers.getall(hdrs.ORIGIN, []):
        if origin.lower() not in (f"http://{host}".lower(), f"https://{host}".lower()):
            raise Refused(403, "pages of other sites may not use the viewer")


class Gate:
    """Asks for the token; with none set, everybody who gets this far may pass. Raises ConfigError for a weak one."""

    def __init__(self, token: str | None, port: int) -> None:
        if token is not None and len(token) < TOKEN_LETTERS:
            raise ConfigError(f"the viewer's token must have {TOKEN_LETTERS} characters or more, got {len(token)}")
        self._token = token
        self.cookie_name = f"edgeseg_viewer_{port}"  # cookies of one host are shared by all its ports
        # not the token itself: what a browser stores cannot be handed on as a link
        self.cookie = "" if token is None else hmac.new(token.encode(), b"edgeseg viewer", hashlib.sha256).hexdigest()

    @property
    def open(self) -> bool:
        """Whether no token is asked for."""
        return self._token is None

    def is_token(self, given: str) -> bool:
        """Compare in a time that tells nothing about how much of it is right."""
        return self._token is not None and _same(given, self._token)

    def check(self, request: BaseRequest) -> None:
        """Raise Refused unless the request brings the cookie or `Authorization: Bearer TOKEN`."""
        if self._token is None:
            return
        scheme, _, bearer = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        if scheme.lower() == "bearer" and self.is_token(bearer.strip()):
            return
        if _same(request.cookies.get(self.cookie_name, ""), self.cookie):
            return
        raise Refused(
            401,
            "the viewer's token is missing or wrong: open the printed link, or send Authorization: Bearer TOKEN",
            {hdrs.WWW_AUTHENTICATE: "Bearer"},
        )


def new_token() -> str:
    """Return a token of 256 random bits."""
    return secrets.token_urlsafe(32)


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), wanted.encode())


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
