"""How long to wait before what failed is tried again."""

from __future__ import annotations

_MOST_DOUBLINGS = 64
"""Beyond any limit in use, and far from the largest float."""


def doubled(first: float, most: float, failures: int) -> float:
    """Return `first` seconds after no earlier failure, twice as long after each further one, at most `most`."""
    return min(most, first * 2.0 ** min(failures, _MOST_DOUBLINGS))
