"""The live loop: cameras → the newest frame → model → outputs.

One thread takes whichever camera's newest frame is due, runs the model, and hands the result to every output; each
output has a thread and a short queue of its own. Nothing waits for an output, and nothing waits behind a frame that is
no longer the newest. The calling thread drives windows and looks out for the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event as Flag
from threading import Thread
from time import monotonic
from typing import Any

from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.events import Events
from edgeseg_runtime.instances.following import Follower, Following
from edgeseg_runtime.live.base import InferenceFailed, LiveCamera, LiveModel, ModelNotReady, Moment
from edgeseg_runtime.live.every_frame import Carry, EveryFrame
from edgeseg_runtime.live.outlet import Outlet
from edgeseg_runtime.live.presenter import Inferred, Presenter, Skip
from edgeseg_runtime.live.show import Filter, Show
from edgeseg_runtime.live.status import OutputStatus, Status
from edgeseg_runtime.live.summary import LiveSummary
from edgeseg_runtime.live.track import Track, percentiles
from edgeseg_runtime.memory import keep_freed_memory
from edgeseg_runtime.pipeline import Stop
from edgeseg_runtime.sinks.base import Sink
from edgeseg_runtime.sources.base import Frame
from edgeseg_runtime.stats import Histogram

STAGES = ("preprocess", "infer", "decode")
_GLANCE_SECONDS = 0.2
"""How often each thread looks up, when nothing comes, to see whether the end is wanted."""
END_SECONDS = 1.5
"""How long the end may take, all outputs and cameras together."""


@dataclass(frozen=True)
class LiveOptions:
    """How to stream live. Raises ConfigError for values outside what is allowed."""

    limit: int | None = None
    """Frames shown, of all cameras, after which to end; None: never."""
    opacity: float = 0.5
    """Of the coloured mask over the frame, 0..1."""
    filters: tuple[Filter, ...] = ()
    """Applied one after the other, before any output sees a frame; one on which a filter fails is not shown."""
    skip: Callable[[], Skip] | None = None
    """Makes, for each camera, what finds frames on which nothing changed; None: the model gets all it can take."""
    following: Following | None = None
    """How objects are given ids and counted; None: they are not."""
    carry: Callable[[], Carry] | None = None
    """Makes, for each camera, what carries masks on to later frames: every frame is then shown. None: only frames with
    a mask of their own are."""

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
        following = self._options.following
        self.tracks = tuple(
            Track(camera, None if following is None else Follower(camera.name, self._events, following))
            for camera in cameras
        )
        self._outlets = [Outlet(sink, self._events) for sink in sinks]
        self._reports: list[Callable[[], OutputStatus]] = []
        self._stages = {name: Histogram() for name in STAGES}
        self._ending = Flag()
        wanted = self._options
        show = Show(
            self._outlets,
            wanted.filters,
            wanted.opacity,
            wanted.limit,
            self._ending.set,
            several=len(cameras) > 1,
            events=self._events,
        )
        self._presenter: Presenter = (
            Inferred(self.tracks, show, wanted.skip)
            if wanted.carry is None
            else EveryFrame(self.tracks, show, wanted.carry, wanted.skip)
        )
        self._started_at = monotonic()
        self._error: BaseException | None = None

    def add(self, sink: Sink[Any]) -> None:
        """Add an output that could not be made before the loop, such as a viewer that asks for its status."""
        self._outlets.append(Outlet(sink, self._events))

    def report(self, status: Callable[[], OutputStatus]) -> None:
        """Show the figures of something that takes no frames, such as a webhook, among the outputs."""
        self._reports.append(status)

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
            self._presenter.start()
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
            outputs=(*(outlet.status() for outlet in self._outlets), *(status() for status in self._reports)),
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
                taken = self._presenter.next(_GLANCE_SECONDS)
                if taken is not None:
                    self._infer(*taken)
        except BaseException as error:  # raised again in the thread that runs the stream
            self._error = error
        finally:
            self._ending.set()

    def _infer(self, track: Track, frame: Frame) -> None:
        try:
            result = self._model.infer(frame.image, Moment(track.camera.name, frame.captured_at, self._period()))
        except InferenceFailed:
            self._presenter.failed(track, frame, ready=True)
        except ModelNotReady:
            self._presenter.failed(track, frame, ready=False)
            self._ending.wait(0.01)
        else:
            times = result.times
            for name, seconds in zip(STAGES, (times.preprocess, times.infer, times.decode), strict=True):
                self._stages[name].add(seconds)
            self._presenter.done(track, frame, track.followed(frame, result))

    def _period(self) -> float | None:
        """Return the seconds in which a frame of some camera comes, as of late; None where that is not known."""
        rate = sum(1 / period for track in self.tracks if (period := track.period) is not None)
        return 1 / rate if rate > 0 else None

    def _end(self, worker: Thread) -> None:
        """End everything within END_SECONDS. What is stuck is left behind, in a daemon thread."""
        deadline = monotonic() + END_SECONDS

        def left() -> float:
            return max(0.05, deadline - monotonic())

        self._ending.set()
        self._presenter.stop(left() / 4)
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
