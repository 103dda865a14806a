"""The live loop: cameras → the newest frame → model → outputs.

One thread takes whichever camera's newest frame is due, runs the model, and hands the result to every output; each
output has a thread and a short queue of its own. Nothing waits for an output, and nothing waits behind a frame that is
no longer the newest. The calling thread drives windows and looks out for the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from threading import Event as Flag
from threading import Thread
from time import monotonic
from typing import Any

from edgeseg_runtime.contract import Contract
from edgeseg_runtime.draw import color_table
from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.events import Events
from edgeseg_runtime.live.base import InferenceFailed, LiveCamera, LiveModel, ModelNotReady
from edgeseg_runtime.live.outlet import Outlet
from edgeseg_runtime.live.schedule import Scheduler
from edgeseg_runtime.live.status import Status
from edgeseg_runtime.live.summary import LiveSummary
from edgeseg_runtime.live.track import Masked, Track, percentiles
from edgeseg_runtime.memory import keep_freed_memory
from edgeseg_runtime.pipeline import Stop
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.result import SemanticResult
from edgeseg_runtime.sinks.base import Shot, Sink
from edgeseg_runtime.sources.base import Frame
from edgeseg_runtime.stats import Histogram

STAGES = ("preprocess", "infer", "decode")
_GLANCE_SECONDS = 0.2
"""How often each thread looks up, when nothing comes, to see whether the end is wanted."""
END_SECONDS = 1.5
"""How long the end may take, all outputs and cameras together."""

Filter = Callable[[Shot], Image]
"""From a shot to the picture that outputs may see in place of its frame's, for privacy and the like."""
Skip = Callable[[Track, Frame], bool]
"""Whether a frame may be shown with its camera's last mask instead of going through the model."""


@dataclass(frozen=True)
class LiveOptions:
    """How to stream live. Raises ConfigError for values outside what is allowed."""

    limit: int | None = None
    """Frames shown, of all cameras, after which to end; None: never."""
    opacity: float = 0.5
    """Of the coloured mask over the frame, 0..1."""
    filters: tuple[Filter, ...] = ()
    """Applied one after the other, before any output sees a frame."""
    skip: Skip | None = None
    """None: every frame that is taken goes through the model."""

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise ConfigError(f"limit must be at least 1 frame, got {self.limit}")
        if not 0 <= self.opacity <= 1:
            raise ConfigError(f"opacity must be in 0..1, got {self.opacity}")


class LiveLoop:
    """One run of a live stream. `status` may be asked from any thread, at any time."""

    def __init__(
        self,
        cameras: Sequence[LiveCamera],
        model: LiveModel,
        sinks: Sequence[Sink[Any]],
        options: LiveOptions | None = None,
        events: Events | None = None,
    ) -> None:
        self._model, self._options, self._events = model, options or LiveOptions(), events or Events()
        self.tracks = tuple(Track(camera) for camera in cameras)
        self._several = len(cameras) > 1
        self._scheduler = Scheduler(self.tracks)
        self._outlets = tuple(Outlet(sink, self._events) for sink in sinks)
        self._stages = {name: Histogram() for name in STAGES}
        self._table: tuple[Contract | None, Image | None] = (None, None)
        self._ending = Flag()
        self._shown = 0
        self._started_at = monotonic()
        self._error: BaseException | None = None

    def run(self, stop: Stop, watch: Callable[[Status], None] | None = None) -> LiveSummary:
        """Stream until the limit, a closed window, the failure of every camera, or `stop`.

        `watch` is called about once a second from the calling thread. Raises what the model's loop raised, which is a
        bug; whatever cameras, models and outputs do wrong is counted, told as an event, and survived.
        """
        keep_freed_memory()
        worker = Thread(target=self._work, name="edgeseg-live", daemon=True)
        self._started_at = monotonic()
        try:
            for outlet in self._outlets:
                outlet.start()
            for track in self.tracks:
                track.camera.start()
            worker.start()
            ended = self._look_after(stop, watch)
        finally:
            self._end(worker)
        if self._error is not None:
            raise self._error
        return LiveSummary(self.status(), ended)

    def status(self) -> Status:
        """Return all figures now."""
        return Status(
            uptime_seconds=round(monotonic() - self._started_at, 3),
            model=self._model.status(),
            cameras=tuple(track.status() for track in self.tracks),
            outputs=tuple(outlet.status() for outlet in self._outlets),
            stages={name: percentiles(histogram) for name, histogram in self._stages.items()},
        )

    def _look_after(self, stop: Stop, watch: Callable[[Status], None] | None) -> str:
        """Drive windows until there is a reason to end, and return it."""
        pumped = [outlet for outlet in self._outlets if outlet.sink.in_main_thread]
        patience = min([_GLANCE_SECONDS, *(outlet.sink.patience or _GLANCE_SECONDS for outlet in pumped)])
        watch_at = monotonic() + 1
        while not self._ending.is_set():
            for outlet in pumped:
                outlet.pump(patience)
            if not pumped:
                self._ending.wait(patience)
            now = monotonic()
            for track in self.tracks:
                track.tick(now)
            if watch is not None and now >= watch_at:
                watch(self.status())
                watch_at = now + 1
            if stop.wanted:
                return "interrupted"
            if not all(outlet.sink.wanted for outlet in self._outlets):
                return "closed"
            if all(track.camera.state == "failed" for track in self.tracks):
                return "failed"
        return "limit"

    def _work(self) -> None:
        try:
            while not self._ending.is_set():
                taken = self._scheduler.next(_GLANCE_SECONDS)
                if taken is not None:
                    self._take(*taken)
        except BaseException as error:  # raised again in the thread that runs the stream
            self._error = error
        finally:
            self._ending.set()

    def _take(self, track: Track, frame: Frame) -> None:
        last = track.masked
        if last is not None and self._options.skip is not None and self._options.skip(track, frame):
            track.served(monotonic())
            self._show(track, frame, last.result, last.frame.captured_at, fresh=False)
            return
        try:
            result = self._model.infer(frame.image)
        except InferenceFailed:
            track.ledger.book("failed")
        except ModelNotReady:
            track.ledger.drop("no model")
            self._ending.wait(0.01)
        else:
            times = result.times
            for name, seconds in zip(STAGES, (times.preprocess, times.infer, times.decode), strict=True):
                self._stages[name].add(seconds)
            track.masked = Masked(frame, result)
            self._show(track, frame, result, frame.captured_at, fresh=True)
        track.served(monotonic())

    def _show(self, track: Track, frame: Frame, result: SemanticResult, masked_at: float, *, fresh: bool) -> None:
        """Hand a frame and a mask to every output."""
        shot = self._shot(frame, result, masked_at, fresh)
        for apply in self._options.filters:
            shot = self._shot(replace(shot.frame, image=apply(shot)), result, masked_at, fresh)
        for outlet in self._outlets:
            outlet.put(shot)
        track.shown(frame, masked_at, fresh, monotonic())
        self._shown += 1
        if self._shown == self._options.limit:
            self._ending.set()

    def _shot(self, frame: Frame, result: SemanticResult, masked_at: float, fresh: bool) -> Shot:
        if self._several:
            frame = replace(frame, name=f"{frame.camera}-{frame.index:06d}")
        if self._table[0] is not result.contract:  # the model was exchanged
            self._table = result.contract, color_table(result.contract)
        assert self._table[1] is not None
        return Shot(frame, result, self._table[1], self._options.opacity, masked_at=masked_at, fresh=fresh)

    def _end(self, worker: Thread) -> None:
        """End everything within END_SECONDS. What is stuck is left behind, in a daemon thread."""
        deadline = monotonic() + END_SECONDS

        def left() -> float:
            return max(0.05, deadline - monotonic())

        self._ending.set()
        self._scheduler.wake()
        if worker.ident is not None:
            worker.join(left() / 2)
        for track in self.tracks:
            track.camera.stop(left() / 2)
        self._model.close()
        if worker.ident is not None:
            worker.join(left() / 2)
        for track in self.tracks:
            track.finish()
        for outlet in self._outlets:
            outlet.close(left())
