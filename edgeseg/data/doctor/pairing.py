"""Masks that belong to other pictures: a list was sorted in another way, or one file too many moved all that follow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from edgeseg.data.doctor.alignment import every_fit
from edgeseg.data.doctor.findings import Finding
from edgeseg.data.doctor.placement import MIN_PICTURES, Floats, significant
from edgeseg.data.doctor.seen import Seen, plural

RUN = 48
"""Pictures in name order that are read once more, at the beginning of a split and at its end."""


def mispaired(seen: Seen) -> Iterator[Finding]:
    """Find splits whose pictures are fitted better by the masks of those that come some places later or earlier.

    Those are the same masks, only on other pictures, so nothing but the pairing differs.
    """
    for split, good in seen.good.items():
        positions = [k for k in good if seen.looks[k].alignment is not None]
        for run in dict.fromkeys((tuple(positions[:RUN]), tuple(positions[-RUN:]))):
            if len(run) >= 2 * MIN_PICTURES and (finding := _judged(seen, split, run)) is not None:
                yield finding
                break


def _judged(seen: Seen, split: str, run: Sequence[int]) -> Finding | None:
    samples = [seen.looks[k].item.read() for k in run]
    fits = every_fit([(sample.image, sample.mask) for sample in samples])
    offset, gain = best_offset(fits)
    if not significant(gain):
        return None
    places = f"{plural(abs(offset), 'place')} {'later' if offset > 0 else 'earlier'}"
    names = [seen.looks[k].item.name for k in run]
    first = next(k for k in range(len(names)) if 0 <= k + offset < len(names))
    text = (
        f"the masks of the pictures {places} in name order fit better: the score is {gain.mean():.2f} higher on"
        f" {len(gain)} pictures; for example {names[first]} has the mask of another, and its own is that of"
        f" {names[first + offset]}"
    )
    numbers = {"pictures": len(gain), "gain": round(float(gain.mean()), 4), "offset": offset}
    return Finding("mask-of-another", text, split, (), tuple(run[:4]), numbers=numbers)


def best_offset(fits: Floats) -> tuple[int, Floats]:
    """Return by how many places the masks fit best on half of the pictures, and the gain on each of the others.

    `fits` is [picture, mask]; offsets at which too few pictures have a mask are not tried.
    """
    count = len(fits)
    own = np.diag(fits)
    reach = count - 2 * MIN_PICTURES
    gains: dict[int, Floats] = {}
    for offset in (k for k in range(-reach, reach + 1) if k):
        pictures = np.arange(max(0, -offset), min(count, count - offset))
        gains[offset] = fits[pictures, pictures + offset] - own[pictures]
    if not gains:
        return 0, np.zeros(0)
    best = max(gains, key=lambda offset: float(gains[offset][::2].mean()))
    return best, gains[best][1::2]
