"""How long to wait before the next attempt."""

from __future__ import annotations

import random
from collections.abc import Callable

from edgeseg_runtime.backoff import doubled


class Backoff:
    """Doubles from `first` to `most` seconds. Each wait is between half of that and all of it, by chance.

    Chance keeps many devices from coming back in the same instant after their server was away.
    """

    def __init__(self, first: float = 0.5, most: float = 60.0, chance: Callable[[], float] = random.random) -> None:
        self._first, self._most, self._chance = first, most, chance
        self._failures = 0

    def failed(self) -> float:
        """Return the seconds to wait after one more failure."""
        longest = doubled(self._first, self._most, self._failures)
        self._failures += 1
        return longest * (1 + self._chance()) / 2

    def succeeded(self) -> None:
        """Begin anew with the next failure."""
        self._failures = 0
