"""From a frame and a mask to every output."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from threading import Lock
from time import monotonic

from edgeseg_runtime.contract import Contract
from edgeseg_runtime.draw import color_table
from edgeseg_runtime.live.outlet import Outlet
from edgeseg_runtime.live.track import Track
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.result import SemanticResult
from edgeseg_runtime.sinks.base import Shot
from edgeseg_runtime.sources.base import Frame

Filter = Callable[[Shot], Image]
"""From a shot to the picture that outputs may see in place of its frame's, for privacy and the like."""


class Show:
    """Makes shots, lets filters change what may be seen, hands them to the outputs, and books them."""

    def __init__(
        self,
        outlets: Sequence[Outlet],
        filters: Sequence[Filter],
        opacity: float,
        limit: int | None,
        over: Callable[[], None],
        several: bool,
    ) -> None:
        self._outlets, self._filters, self._opacity = outlets, filters, opacity
        self._limit, self._over, self._several = limit, over, several
        self._table: tuple[Contract | None, Image | None] = (None, None)
        self._shown = 0
        self._filtering, self._counting = Lock(), Lock()

    def __call__(self, track: Track, frame: Frame, result: SemanticResult, masked_at: float, *, fresh: bool) -> None:
        """Show a frame with a mask that was made from a frame captured at `masked_at`: this very one, if `fresh`."""
        if self._several:
            frame = replace(frame, name=f"{frame.camera}-{frame.index:06d}")
        shot = self._shot(frame, result, masked_at, fresh)
        with self._filtering:  # filters are for one thread at a time, and cameras may have threads of their own
            for apply in self._filters:
                shot = self._shot(replace(shot.frame, image=apply(shot)), result, masked_at, fresh)
        with self._counting:
            if self._shown == self._limit:
                track.ledger.drop("stopped")
                return
            self._shown += 1
            last = self._shown == self._limit
        for outlet in self._outlets:
            outlet.put(shot)
        track.shown(frame, masked_at, fresh, monotonic())
        if last:
            self._over()

    def _shot(self, frame: Frame, result: SemanticResult, masked_at: float, fresh: bool) -> Shot:
        contract, table = self._table
        if contract is not result.contract or table is None:  # the first one, or the model was exchanged
            table = color_table(result.contract)
            self._table = result.contract, table
        return Shot(frame, result, table, self._opacity, masked_at=masked_at, fresh=fresh)
