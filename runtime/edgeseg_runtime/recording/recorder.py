"""The recording of one camera: when to record, and where to begin anew."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from edgeseg_runtime import extras
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.errors import LostFrameError, OutputError
from edgeseg_runtime.events import Events
from edgeseg_runtime.recording.encoder import Chunk, Encoder
from edgeseg_runtime.recording.gate import Gate
from edgeseg_runtime.recording.options import ALWAYS, RecordOptions
from edgeseg_runtime.recording.shelf import Shelf
from edgeseg_runtime.recording.writer import Clocks, Writer
from edgeseg_runtime.sinks.base import Shot

KEY_SECONDS = 1.0
"""From one key frame to the next: how finely a player can seek and a pre-roll be cut."""

_BACK_SECONDS = 1.0  # by how much time may run back before it counts as a new beginning


@dataclass(frozen=True)
class RecordStatus:
    """How the recording of one camera stands."""

    recording: bool
    """Something is to be recorded now."""
    segment: str | None = None
    """The file being written, by its final name."""
    seconds: float = 0.0
    """How much it holds."""
    failing: str | None = None
    """Why nothing can be written; None while all is well."""


class Recorder:
    """Takes every shot of one camera. Used by one thread at a time, but for `gate.command` and `status`.

    Publishes `record.started` and `record.stopped`, and what its `Writer` does.
    """

    def __init__(self, camera: str, options: RecordOptions, shelf: Shelf, events: Events, clocks: Clocks) -> None:
        self._camera, self._options, self._events, self._clocks = camera, options, events, clocks
        self._errors = (OutputError, extras.require("av", "live").FFmpegError)
        self.gate = Gate(options.trigger == ALWAYS, options.post_roll)
        self._writer = Writer(camera, options.segment_seconds, options.ring_seconds, shelf, self._publish, clocks)
        self._encoder: Encoder | None = None
        self._contract: Contract | None = None
        self._now = self._seen_at = self._key_at = 0.0
        self._recording = False

    @property
    def status(self) -> RecordStatus:
        """How it stands; may be asked from any thread."""
        segment, failing = self._writer.segment, self._writer.failing
        if segment is None:
            return RecordStatus(self._recording, failing=failing)
        return RecordStatus(self._recording, segment.name, segment.end - segment.start, failing)

    def put(self, shot: Shot, holds: bool, now: float) -> None:
        """Record the shot of `now` seconds if that is wanted, or hold it back for a recording that begins soon.

        Raises LostFrameError for one that was to be recorded and could not be.
        """
        if self._begins_anew(shot, now):
            self._cut()
        self._now, self._seen_at, self._contract = now, self._clocks.monotonic(), shot.result.contract
        self.gate.see(holds, now)
        self._turn(now)
        if not self._recording and not self._options.ring_seconds:
            return
        chunk = self._encode(shot, now)
        if not self._recording:
            if chunk is not None:
                self._writer.hold(chunk)
        elif not self._written(chunk, shot.result.contract):
            raise LostFrameError(f"not recorded: {self._writer.failing}")

    def idle(self) -> None:
        """See to what is due while no frame comes."""
        now = self._now + self._clocks.monotonic() - self._seen_at
        self._turn(now)
        if self._writer.is_due(now - KEY_SECONDS):  # a frame that is on its way may still end it in good order
            self._writer.finish()

    def close(self) -> None:
        """Finish the file being written."""
        if self._recording:
            self._recording = False
            self._stop()
        self._cut()

    def _turn(self, now: float) -> None:
        wants = self.gate.wants(now)
        if wants and not self._recording:
            held = round(self._writer.held(now), 3)
            self._publish("record.started", trigger=self._options.trigger, pre_roll=held)
        if self._recording and not wants:
            self._stop()
        self._recording = wants

    def _stop(self) -> None:
        self._writer.finish()
        self._publish("record.stopped")

    def _encode(self, shot: Shot, now: float) -> Chunk | None:
        """Return the encoded frame; None where the encoder failed, which is tried again after a while."""
        picture = shot.picture if self._options.content == "overlay" else shot.frame.image
        try:
            if self._encoder is None:
                if not self._writer.ready:
                    return None
                masks = self._options.content == "masks"
                self._encoder = Encoder(picture.shape[:2], masks=masks, quality=self._options.quality)
            key = now - self._key_at >= KEY_SECONDS or self._writer.needs_key(now)
            chunk = self._encoder.encode(picture, shot.result.mask, now, key=key)
        except self._errors as error:
            self._cut()
            self._writer.fail(error)
            return None
        if chunk.key:
            self._key_at = now
        return chunk

    def _written(self, chunk: Chunk | None, contract: Contract) -> bool:
        if chunk is None or self._encoder is None:
            return False
        return self._writer.write(chunk, self._encoder, self._about(contract))

    def _begins_anew(self, shot: Shot, now: float) -> bool:
        """A file has frames of one size and one set of classes, and its time runs forwards."""
        if self._encoder is None or self._contract is None:
            return False
        return (
            self._encoder.size != shot.frame.image.shape[:2]
            or self._contract.labels != shot.result.contract.labels
            or now < self._now - _BACK_SECONDS
        )

    def _cut(self) -> None:
        """Finish the file, and forget what only the frames before can explain."""
        self._writer.finish()
        self._writer.forget()
        if self._encoder is not None:
            self._encoder.close()
            self._encoder = None

    def _about(self, contract: Contract) -> dict[str, Any]:
        classes = [asdict(label) for label in contract.labels]
        return {"camera": self._camera, "content": self._options.content, "classes": classes}

    def _publish(self, kind: str, **data: Any) -> None:
        self._events.publish(kind, self._camera, **data)
