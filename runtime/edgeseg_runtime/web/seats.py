"""How many may look at the same time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from edgeseg_runtime.web.refusals import Refused

RETRY = {"Retry-After": "5"}


class Seats:
    """Counts those who look for longer than one answer. Used by the server's loop only."""

    def __init__(self, total: int, per_address: int) -> None:
        self._total, self._per_address = total, per_address
        self._taken: Counter[str] = Counter()

    @property
    def taken(self) -> int:
        """How many look now."""
        return sum(self._taken.values())

    @contextmanager
    def seat(self, address: str | None) -> Iterator[None]:
        """Take a place for as long as the body runs. Raises Refused when there is none."""
        place = address or ""
        if self.taken >= self._total:
            raise Refused(503, "too many look at the same time", RETRY)
        if self._taken[place] >= self._per_address:
            raise Refused(429, "too many look from this address at the same time", RETRY)
        self._taken[place] += 1
        try:
            yield
        finally:
            self._taken[place] -= 1
            if not self._taken[place]:
                del self._taken[place]
