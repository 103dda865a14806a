"""Basic and Digest, as cameras ask for them (RFC 7617, RFC 2617)."""

from __future__ import annotations

import base64
import hashlib
import re

REALM, NONCE = "camera", "0123456789abcdef"


def challenge(kind: str) -> str:
    if kind == "digest":
        return f'Digest realm="{REALM}", nonce="{NONCE}"'
    return f'Basic realm="{REALM}"'


def is_right(header: str, method: str, user: str, password: str) -> bool:
    kind, _, rest = header.partition(" ")
    if kind.lower() == "basic":
        return base64.b64decode(rest).decode() == f"{user}:{password}"
    said = dict(re.findall(r'(\w+)="?([^",]*)"?', rest))
    first, second = _md5(f"{user}:{REALM}:{password}"), _md5(f"{method}:{said.get('uri', '')}")
    return said.get("username") == user and said.get("response") == _md5(f"{first}:{NONCE}:{second}")


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
