"""Figures in a few words, for a cell of the table."""

from __future__ import annotations

import re
from typing import Any

_LONGEST = 90


def clipped(text: str) -> str:
    """Return one short line that does not break a Markdown table."""
    line = re.sub(r"\s+", " ", text).replace("|", "/").strip()
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


def seconds_words(what: str, seconds: float | None, otherwise: str) -> str:
    """Say a duration, or what happened in its place."""
    return clipped(otherwise) if seconds is None else f"{what} {seconds:.2f} s"


def noticed_words(figures: dict[str, Any]) -> str:
    """Say how a fault was noticed."""
    sign = figures["noticed"]
    if sign is None:
        return f"never noticed in {figures['watched_seconds']:g} s"
    return f"noticed after {sign['seconds']:.2f} s ({sign['how']})"


def false_words(given: dict[str, Any]) -> str:
    """Say what was given out as live and was not."""
    false = [f"{given[kind]} {kind}" for kind in ("black", "old", "unreadable") if given[kind]]
    if not false:
        return "nothing false given as live"
    oldest = f", oldest {given['oldest_seconds']:.1f} s" if given["old"] else ""
    return f"given as live: {', '.join(false)}{oldest}"


def outage_words(figures: dict[str, Any], waited: float) -> str:
    """Say how an outage was noticed, when pictures came back, and what false ones were given out."""
    back = seconds_words("back after", figures["back_seconds"], figures["ended"] or f"not back in {waited:g} s")
    return "; ".join([noticed_words(figures), back, false_words(figures["given_as_live"])])
