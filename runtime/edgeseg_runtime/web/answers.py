"""What every answer carries, and how answers are made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from edgeseg_runtime.web.refusals import Refused

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    # no other site may show the pictures, or hold a handle on the page's window
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
    "Server": "edgeseg",
}


def body(data: bytes, content_type: str, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return an answer with these bytes."""
    every = {**HEADERS, **(headers or {}), "Content-Type": content_type}
    return web.Response(body=data, status=status, headers=every)


def plain_json(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return an answer in JSON. Raises ValueError for NaN, which browsers do not read."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return body(text.encode(), "application/json", status, headers)


def refusal(refused: Refused) -> web.Response:
    """Return the answer to a request that is turned down."""
    answer = plain_json({"error": refused.line}, refused.status, refused.headers)
    answer.force_close()  # who sends one bad request is not asked for the next
    return answer
