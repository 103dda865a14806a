"""From what FFmpeg raises and says to the reason that people are told."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from edgeseg_runtime.capture.states import Lost, Reason

_SAID: tuple[tuple[str, Reason], ...] = (
    (r"not on whitelist|unsafe file name|allowed_segment_extensions", "codec"),
    (r"\b401\b|unauthorized", "auth"),
    (r"\b403\b|forbidden", "auth"),
    (r"certificate|\btls\b|\bssl\b|gnutls|handshake", "tls"),
    (r"failed to resolve|name or service not known|temporary failure in name resolution|no address assoc", "not found"),
    (r"\b404\b|not found", "not found"),
    (r"connection refused", "refused"),
    (r"no route to host|network is unreachable", "unreachable"),
    (r"timed out", "timeout"),
    (r"end of file", "closed"),
    (r"\b5\d\d\b.*(error|unavailable|gateway)|server error", "server error"),
)
"""FFmpeg gives a bare I/O error for some of these, and names the cause in its log only."""


def diagnose(error: Exception, lines: Sequence[str], *, connecting: bool) -> Lost:
    """Return what an error of PyAV means, with FFmpeg's last lines as evidence."""
    reason = _by_type(error, connecting) or _by_words(lines) or _by_default(error, connecting)
    return Lost(reason, evidence(lines, _message(error)))


def evidence(lines: Sequence[str], *first: str) -> str:
    """Return FFmpeg's last lines, after `first`, each once."""
    return "; ".join(dict.fromkeys([*first, *lines[-3:]]))


def _by_type(error: Exception, connecting: bool) -> Reason | None:
    import av.error as kinds

    table: tuple[tuple[Any, Reason], ...] = (
        ((kinds.HTTPUnauthorizedError, kinds.HTTPForbiddenError), "auth"),
        (kinds.HTTPNotFoundError, "not found"),
        (kinds.HTTPServerError, "server error"),
        (kinds.ConnectionRefusedError, "refused"),
        ((kinds.ExitError, kinds.TimeoutError), "timeout" if connecting else "no frames"),
        ((kinds.ConnectionResetError, kinds.BrokenPipeError, kinds.ConnectionAbortedError), "closed"),
        ((kinds.DecoderNotFoundError, kinds.DemuxerNotFoundError, kinds.PatchWelcomeError), "codec"),
    )
    return next((reason for kind, reason in table if isinstance(error, kind)), None)


def _by_words(lines: Sequence[str]) -> Reason | None:
    for line in reversed(lines):
        for pattern, reason in _SAID:
            if re.search(pattern, line, re.IGNORECASE):
                return reason
    return None


def _by_default(error: Exception, connecting: bool) -> Reason:
    import av.error as kinds

    if isinstance(error, kinds.EOFError):
        return "closed"
    if isinstance(error, kinds.InvalidDataError):
        return "codec" if connecting else "damaged"
    return {113: "unreachable", 101: "unreachable"}.get(getattr(error, "errno", 0) or 0, "error")  # type: ignore[return-value]


def _message(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
