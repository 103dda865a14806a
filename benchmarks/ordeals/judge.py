"""From a trace to figures. The same for every subject; knows nothing of any."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from ordeals.process_tree import Usage
from ordeals.trace import Shown, Trace, last_words

OLD_SECONDS = 1.0
"""A picture older than this is no picture of now."""


@dataclass(frozen=True)
class Noticed:
    """How a fault became known."""

    seconds: float
    how: str
    """told, printed, or ended: it returned, or its process ended."""
    text: str


def noticed_before(trace: Trace, since: float, end: float, source: int | None = None) -> dict[str, Any] | None:
    """Return `noticed` as plain JSON values; None: not before `end`."""
    sign = noticed(trace, since, source)
    if sign is None or since + sign.seconds > end:
        return None
    return {**asdict(sign), "seconds": round(sign.seconds, 3)}


def noticed(trace: Trace, since: float, source: int | None = None) -> Noticed | None:
    """Return the first sign after `since` that somebody could have known by; None: there was none.

    What was said in the same words when nothing was wrong, from the first picture on, is no sign. `source` leaves out
    what was told of other cameras.
    """
    said = [one for one in list(trace.said) if one.text.strip() and (source is None or one.source in (None, source))]
    first = trace.shown[0].at if trace.shown else since
    usual = {_pattern(one.text) for one in said if first <= one.at < since}
    signs = [
        Noticed(one.at - since, one.how, one.text.strip())
        for one in said
        if one.at >= since and _pattern(one.text) not in usual
    ]
    if trace.over_at is not None and trace.over_at >= since:
        signs.append(Noticed(trace.over_at - since, "ended", last_words(trace)))
    return min(signs, key=lambda sign: sign.seconds, default=None)


def fresh(shown: Sequence[Shown], since: float) -> Shown | None:
    """Return the first picture that was made after `since`; black and unreadable ones are none."""
    return next((one for one in list(shown) if one.made_at is not None and one.made_at >= since), None)


def false_pictures(shown: Sequence[Shown], begin: float, end: float) -> dict[str, Any]:
    """Count what was given out as live between two moments and was not: black, unreadable or old pictures."""
    among = [one for one in list(shown) if begin <= one.at < end]
    ages = [one.age for one in among if one.age is not None]
    return {
        "black": sum(one.black for one in among),
        "unreadable": sum(one.made_at is None and not one.black for one in among),
        "old": sum(age > OLD_SECONDS for age in ages),
        "oldest_seconds": rounded(max(ages), 3) if ages else None,
    }


def ages_ms(shown: Sequence[Shown], begin: float, end: float) -> dict[str, Any]:
    """Return how old pictures and masks were, and whether they grew older: medians of the first and last third."""
    among = [one for one in list(shown) if begin <= one.at < end and one.age is not None]
    if not among:
        return {"pictures": 0}
    pictures = np.array([one.age for one in among], float)
    masks = pictures + np.array([one.mask_lag for one in among])
    times = np.array([one.at for one in among])
    third = (end - begin) / 3
    return {
        "pictures": len(among),
        "shown_fps": rounded(len(among) / (end - begin), 2),
        "picture_p50": _ms(pictures, 50),
        "picture_p99": _ms(pictures, 99),
        "mask_p50": _ms(masks, 50),
        "mask_p99": _ms(masks, 99),
        "mask_first_third_p50": _ms(masks[times < begin + third], 50),
        "mask_last_third_p50": _ms(masks[times >= end - third], 50),
    }


def rate(shown: Sequence[Shown], begin: float, end: float) -> float:
    """Return pictures a second that were made after `begin` and given out before `end`: old ones are none."""
    return sum(begin <= one.at < end and (one.age or math.inf) <= OLD_SECONDS for one in list(shown)) / (end - begin)


def longest_gap(shown: Sequence[Shown], begin: float, end: float) -> float:
    """Return the longest time between two moments in which no readable picture was given out."""
    moments = [begin, *(one.at for one in list(shown) if begin <= one.at < end and one.made_at is not None), end]
    return max(after - before for before, after in pairwise(moments))


def growth(samples: Sequence[Usage], pictures: int) -> dict[str, Any]:
    """Return what grew over some time in which so many pictures were given out. Memory by least squares."""
    if len(samples) < 3:
        return {"samples": len(samples)}
    times = np.array([one.at - samples[0].at for one in samples])
    slope = float(np.polyfit(times, [one.memory_bytes for one in samples], 1)[0])
    seconds = float(times[-1])
    return {
        "samples": len(samples),
        "seconds": rounded(seconds, 1),
        "pictures": pictures,
        "memory_mb_over_time": [rounded(one.memory_bytes / 1e6, 2) for one in samples],
        "memory_mb": rounded(samples[-1].memory_bytes / 1e6, 1),
        "memory_mb_an_hour": rounded(slope * 3600 / 1e6, 1),
        "memory_bytes_a_picture": round(slope * seconds / pictures) if pictures else None,
        "descriptors": [samples[0].descriptors, samples[-1].descriptors],
        "threads": [samples[0].threads, samples[-1].threads],
        "processes": [samples[0].processes, samples[-1].processes],
    }


def rounded(value: float | None, digits: int) -> float | None:
    """Round, where there is something to."""
    return None if value is None else round(value, digits)


def _pattern(text: str) -> str:
    return re.sub(r"0x[0-9a-f]+|\d+", "#", text.strip())


def _ms(seconds: Any, percent: int) -> float | None:
    return round(1e3 * float(np.percentile(seconds, percent)), 1) if len(seconds) else None
