"""From a frame and a mask to every output."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from threading import Lock
from time import monotonic

from edgeseg_runtime.contract import Contract
from edgeseg_runtime.draw import color_table
from edgeseg_runtime.errors import EdgesegError, FrameError
from edgeseg_runtime.events import Events
from edgeseg_runtime.live.outlet import Outlet
from edgeseg_runtime.live.track import Track
from edgeseg_runtime.preprocess import Image, check_frame
from edgeseg_runtime.result import Result
from edgeseg_runtime.sinks.base import Shot
from edgeseg_runtime.sources.base import Frame

_log = logging.getLogger(__name__)

QUIET_SECONDS = 5.0
"""Filters that keep failing say so at most this often."""

Filter = Callable[[Shot], Image]
"""From a shot to the picture that outputs may see in place of its frame's, for privacy and the like."""


class Show:
    """Makes shots, lets filters change what may be seen, hands them to the outputs, and books them.

    A filter that fails has made nothing that may be seen: the frame goes to no output, counts as dropped, and an event
    `filter.failed` {line, frames} tells of it.
    """

    def __init__(
        self,
        outlets: Sequence[Outlet],
        filters: Sequence[Filter],
        opacity: float,
        limit: int | None,
        over: Callable[[], None],
        several: bool,
        events: Events,
    ) -> None:
        self._outlets, self._filters, self._opacity = outlets, filters, opacity
        self._limit, self._over, self._several = limit, over, several
        self._table: tuple[Contract | None, Image | None] = (None, None)
        self._shown = 0
        self._filtering, self._counting = Lock(), Lock()
        self._complaints = Complaints(events)

    def __call__(self, track: Track, frame: Frame, result: Result, masked_at: float, *, fresh: bool) -> None:
        """Show a frame with a mask that was made from a frame captured at `masked_at`: this very one, if `fresh`."""
        if self._several:
            frame = replace(frame, name=f"{frame.camera}-{frame.index:06d}")
        shot = self._shot(frame, result, masked_at, fresh)
        if self._filters:
            try:
                shot = self._filtered(shot)
            except Exception as error:  # whatever it is: what was to be hidden must not be seen
                track.ledger.drop("filter failed")
                self._complaints.failed(track.camera.name, error)
                return
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

    def _filtered(self, shot: Shot) -> Shot:
        with self._filtering:  # filters are for one thread at a time, and cameras may have threads of their own
            for apply in self._filters:
                image = apply(shot)
                check_frame(image)
                if image.shape != shot.frame.image.shape:
                    raise FrameError(f"a filter made {_size(image)} of {_size(shot.frame.image)}")
                shot = self._shot(replace(shot.frame, image=image), shot.result, shot.masked_at, shot.fresh)
        return shot

    def _shot(self, frame: Frame, result: Result, masked_at: float | None, fresh: bool) -> Shot:
        contract, table = self._table
        if contract is not result.contract or table is None:  # the first one, or the model was exchanged
            table = color_table(result.contract)
            self._table = result.contract, table
        return Shot(frame, result, table, self._opacity, masked_at=masked_at, fresh=fresh)


class Complaints:
    """Tells of filters that fail, at most once in QUIET_SECONDS."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._lock = Lock()
        self._frames = 0
        self._told_at = float("-inf")

    def failed(self, camera: str, error: Exception) -> None:
        """Note a failure; `frames` counts those since the last one told, with this one."""
        with self._lock:
            self._frames += 1
            if monotonic() - self._told_at < QUIET_SECONDS:
                return
            frames, self._frames, self._told_at = self._frames, 0, monotonic()
        if not isinstance(error, EdgesegError):
            _log.error("a filter failed, and its frame is not shown", exc_info=error)  # a bug: its traceback is wanted
        line = str(error) or type(error).__name__
        self._events.publish("filter.failed", camera, line=line, frames=frames)


def _size(image: Image) -> str:
    return "×".join(map(str, image.shape))
