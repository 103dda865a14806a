"""The least of something that is enough, where each look costs much."""

from __future__ import annotations

from collections.abc import Callable


def fewest(enough: Callable[[int], bool], most: int) -> int | None:
    """Return the smallest number in 1..`most` that is enough, None where not even `most` is; 0 is known not to be.

    Doubles until it is enough, then bisects: the answer was asked for, and so was one less, if that is not 0. Each
    number is asked for once. Where more is not always better, a smaller number that nobody asked for may do too.
    """
    low, high = 0, min(1, most)
    while not (high and enough(high)):
        if high == most:
            return None
        low, high = high, min(most, 2 * high)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
