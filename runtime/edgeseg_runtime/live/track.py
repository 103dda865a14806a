"""One camera as the live loop sees it: where it is, what its newest mask is, how old things are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from time import monotonic

from edgeseg_runtime.instances.following import Follower
from edgeseg_runtime.live.account import Ledger
from edgeseg_runtime.live.base import LiveCamera
from edgeseg_runtime.live.rate import Rate
from edgeseg_runtime.live.status import CameraStatus, Percentiles
from edgeseg_runtime.result import Result
from edgeseg_runtime.sources.base import Frame
from edgeseg_runtime.stats import Histogram, percentile


@dataclass(frozen=True)
class Masked:
    """A frame and the mask that the model made of it."""

    frame: Frame
    result: Result


class Track:
    """Bookkeeping for one camera. Frames are taken by one thread; anybody may read."""

    def __init__(self, camera: LiveCamera, follower: Follower | None = None) -> None:
        self.camera = camera
        self._follower = follower
        self.ledger = Ledger()
        self.masked: Masked | None = None
        """Its newest frame that has a mask."""
        self.deadline = 0.0
        """When its next frame should be through the model, on the monotonic clock."""
        self._seen = -1
        self._shown = 0
        self._picture_age, self._mask_age = Histogram(), Histogram()
        self._captured_rate, self._shown_rate = Rate(), Rate()

    @property
    def track(self) -> Track:
        """A track is its own queue, where nothing stands between the camera and the model."""
        return self

    @property
    def period(self) -> float | None:
        """Seconds from one captured frame to the next, as of late; None where that is not known."""
        fps = self._captured_rate.per_second()
        return 1 / fps if fps > 0 else None

    @property
    def waiting(self) -> bool:
        """Whether there is a frame that was not taken yet."""
        return self.camera.captured > self._seen + 1

    def take(self) -> Frame | None:
        """Take the newest frame, None if there is no new one. Those in between were overtaken."""
        frame = self.camera.newest(self._seen)
        if frame is None:
            return None
        self.ledger.captured(frame.index - self._seen)
        self.ledger.drop("overtaken", frame.index - self._seen - 1)
        self._seen = frame.index
        return frame

    def followed(self, frame: Frame, result: Result) -> Result:
        """Return the result with what is known of its objects over time. In the frames' order."""
        return result if self._follower is None else self._follower(result, frame.captured_at)

    def served(self, now: float) -> None:
        """Set the next deadline: one frame's time from now."""
        self.deadline = now + (self.period or 0.0)

    def shown(self, frame: Frame, masked_at: float | None, fresh: bool, now: float) -> None:
        """Book a frame that went to the outputs."""
        self.ledger.book("inferred" if fresh else "reused")
        self._picture_age.add(now - frame.captured_at)
        if masked_at is not None:
            self._mask_age.add(now - masked_at)
        self._shown += 1

    def tick(self, now: float) -> None:
        """Note the rates; call it a few times a second."""
        self._captured_rate.mark(self.camera.captured, now)
        self._shown_rate.mark(self._shown, now)
        if self._follower is not None:
            self._follower.idle(now)

    def finish(self) -> None:
        """Book what came and was never decided. The camera has been stopped, and so has whoever takes frames."""
        left = self.camera.captured - self._seen - 1
        self.ledger.captured(left)
        self._seen += left
        self.ledger.settle()
        if self._follower is not None:
            self._follower.close()

    def status(self) -> CameraStatus:
        """Return its figures now."""
        camera, account = self.camera, self.ledger.account()
        return CameraStatus(
            name=camera.name,
            title=camera.title,
            state=camera.state,
            reason=camera.reason,
            seconds_in_state=round(monotonic() - camera.since, 3),
            size=camera.size,
            account=replace(account, captured=max(account.captured, camera.captured)),
            captured_fps=round(self._captured_rate.per_second(), 2),
            shown_fps=round(self._shown_rate.per_second(), 2),
            picture_age=percentiles(self._picture_age),
            mask_age=percentiles(self._mask_age),
            counts=None if self._follower is None else self._follower.counts,
        )


def percentiles(histogram: Histogram) -> Percentiles:
    """Return p50, p95 and p99 of a histogram of seconds, in milliseconds."""
    counts = histogram.counts()
    values = (percentile(counts, percent) for percent in (50, 95, 99))
    return Percentiles(*(None if value is None else round(value * 1e3, 3) for value in values))
