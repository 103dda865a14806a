"""Events by HTTP POST."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import os
import socket
import ssl
from contextlib import suppress
from threading import Timer
from urllib.parse import SplitResult, unquote, urlsplit

from edgeseg_runtime.credentials import without_credentials
from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.telemetry.delivery import DeliveryError

SIGNATURE = "X-Edgeseg-Signature"
"""`sha256=` and the HMAC-SHA256 of the body with the shared secret, in hexadecimal."""

_NEVER = (400, 405, 406, 410, 411, 413, 414, 415, 422)
"""Answers that mean this event will not be taken, however often it is sent. A 401 or 404 can be mended meanwhile."""


class WebhookSender:
    """POSTs each event as a JSON object, over http or https with the certificate checked.

    `secret_variable` names an environment variable with the secret to sign by; `authorities` is a PEM file with the
    certificates to trust instead of the system's. Redirects are not followed: they could take the events, and the
    credentials with them, elsewhere. Raises ConfigError.
    """

    def __init__(
        self,
        url: str,
        *,
        secret_variable: str | None = None,
        authorities: str | None = None,
        timeout: float = 5.0,
    ) -> None:
        parts = _checked(url)
        self.title = f"{parts.scheme}://{without_credentials('//' + parts.netloc)[2:].rpartition('@')[2]}"
        self.refused = 0
        self._parts, self._timeout = parts, timeout
        self._secret = _secret(secret_variable)
        self._tls = _tls(authorities) if parts.scheme == "https" else None
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    def tend(self) -> None:
        """There is no connection to keep."""

    def send(self, records: list[bytes]) -> int:
        """POST one after the other; stop at the first that fails."""
        for done, record in enumerate(records):
            try:
                status = self._post(record)
            except (OSError, http.client.HTTPException) as error:
                status, reason = 0, _reason(error)
            else:
                reason = f"answers {status}"
            if 200 <= status < 300:
                continue
            if status in _NEVER:
                self.refused += 1
                continue
            if done:
                return done
            if 300 <= status < 400:
                reason += ", a redirect, which is not followed; give the final URL"
            raise DeliveryError(f"{self.title}: {reason}")
        return len(records)

    def close(self) -> None:
        """There is nothing to close."""

    def _post(self, body: bytes) -> int:
        """Return the status. A server that sends byte by byte is cut off at twice the timeout."""
        connection = self._connection()
        watch = Timer(2 * self._timeout, _cut_off, (connection,))
        watch.daemon = True
        watch.name = "edgeseg-webhook-watch"
        watch.start()
        try:
            connection.request("POST", self._target, body, self._headers(body))
            return connection.getresponse().status
        finally:
            watch.cancel()
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._tls is not None:
            return http.client.HTTPSConnection(host, port, timeout=self._timeout, context=self._tls)
        return http.client.HTTPConnection(host, port, timeout=self._timeout)

    def _headers(self, body: bytes) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "User-Agent": "edgeseg"}
        if self._parts.username is not None:
            pair = f"{unquote(self._parts.username)}:{unquote(self._parts.password or '')}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        if self._secret is not None:
            headers[SIGNATURE] = "sha256=" + hmac.new(self._secret, body, hashlib.sha256).hexdigest()
        return headers


def _checked(url: str) -> SplitResult:
    shown = without_credentials(url)
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not url.isascii() or not url.isprintable() or " " in url:
        raise ConfigError(f"a webhook needs an address like https://host/path, in ASCII, got {shown}")
    return parts


def _secret(variable: str | None) -> bytes | None:
    if variable is None:
        return None
    value = os.environ.get(variable)
    if not value:
        raise ConfigError(f"the webhook is to be signed, but the environment variable {variable} is not set")
    return value.encode()


def _tls(authorities: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=authorities)
    except OSError as error:
        raise ConfigError(f"{authorities} is no PEM file with certificates: {error}") from error


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "does not answer in time"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"has a certificate that is not to be trusted: {error.verify_message}"
    if isinstance(error, OSError):
        return f"cannot be reached: {error.strerror or type(error).__name__}"
    return f"does not speak HTTP: {type(error).__name__}"


def _cut_off(connection: http.client.HTTPConnection) -> None:
    if isinstance(connection.sock, socket.socket):
        with suppress(OSError):  # it may have ended by itself
            connection.sock.shutdown(socket.SHUT_RDWR)
