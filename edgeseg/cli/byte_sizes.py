"""Sizes of memory and files, as flags give them."""

from __future__ import annotations

import re

from edgeseg_runtime.errors import ConfigError

_UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


def bytes_of(flag: str, text: str | None) -> int | None:
    """Return the bytes of a text such as `10GB`; None stays None. Raises ConfigError, which names the flag."""
    if text is None:
        return None
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([kMGT]?B)", text)
    if found is None or (size := int(float(found[1]) * _UNITS[found[2]])) < 1:
        raise ConfigError(f"--{flag} is a size such as 500MB or 10GB, got {text!r}")
    return size
