"""The output that records."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock, Thread

from edgeseg_runtime.errors import OutputError
from edgeseg_runtime.events import Events
from edgeseg_runtime.recording.encoder import require_encoder
from edgeseg_runtime.recording.gate import Command
from edgeseg_runtime.recording.options import ALWAYS, MANUAL, RecordOptions
from edgeseg_runtime.recording.recorder import Recorder, RecordStatus
from edgeseg_runtime.recording.shelf import Shelf
from edgeseg_runtime.recording.trigger import Condition, parse_trigger
from edgeseg_runtime.recording.writer import Clocks
from edgeseg_runtime.sinks.base import Shot, Sink

CLOSE_SECONDS = 1.0
"""How long finishing the files may take; with a disk that hangs they are left for the next start to finish."""


class RecordSink(Sink[bool]):
    """Records every camera's shots into segments of one folder; finishes first what a killed run left there.

    `start`, `stop` and `status` may be called from any thread. A disk that is full or gone is told by events and
    tried again. Raises ConfigError for a trigger that cannot be read or names an unknown class,
    OutputError for a folder that cannot be written to, MissingExtraError without PyAV.
    """

    name = "record"
    backlog = 12  # a disk that syncs takes its time
    patience = 0.25

    def __init__(
        self, options: RecordOptions, classes: Sequence[str], events: Events, clocks: Clocks | None = None
    ) -> None:
        self._options, self._events, self._clocks = options, events, clocks or Clocks()
        self._condition: Condition | None = None
        if options.trigger not in (ALWAYS, MANUAL):
            self._condition = parse_trigger(options.trigger, classes)
        require_encoder()
        self._shelf = Shelf(options.folder, options.quota_bytes, events)
        try:
            self._shelf.recover()
        except OSError as error:
            raise OutputError(f"{options.folder} cannot be tidied up: {error.strerror}") from error
        self._shelf.prune()
        self._recorders: dict[str, Recorder] = {}
        self._command: Command | None = None
        self._lock = Lock()
        self._closed = False

    @property
    def classes(self) -> frozenset[str]:
        """The classes that the trigger speaks of: a model without one of them never sets it off."""
        return self._condition.classes if self._condition is not None else frozenset()

    def encode(self, shot: Shot) -> bool:
        """Tell whether the trigger's condition holds; without a mask it does not."""
        return self._condition is not None and shot.masked_at is not None and self._condition.holds(shot.result.area())

    def write(self, shot: Shot, encoded: bool) -> None:
        """Record. Raises LostFrameError for a frame that could not be, OutputError for one without a time.

        The next one may be written all the same. Frames of the last second before that are then saved, too.
        """
        frame = shot.frame
        now = frame.captured_at if self._options.clock == "captured" else frame.position
        if now is None:
            raise OutputError(f"{frame.name} has no place in time, so it cannot be recorded")
        with self._lock:
            if not self._closed:
                self._recorder(frame.camera).put(shot, encoded, now)

    def idle(self) -> None:
        """See to what is due while no frame comes."""
        with self._lock:
            for recorder in self._recorders.values():
                recorder.idle()

    def start(self, camera: str | None = None) -> None:
        """Record from now on, of one camera or of all, until `stop`."""
        self._order("start", camera)

    def stop(self, camera: str | None = None) -> None:
        """End the recording now, of one camera or of all."""
        self._order("stop", camera)

    def status(self) -> dict[str, RecordStatus]:
        """Return how it stands, by camera, for those that gave a frame already."""
        return {camera: recorder.status for camera, recorder in self._recorders.copy().items()}

    def close(self) -> None:
        """Finish all files, within `CLOSE_SECONDS`."""
        worker = Thread(target=self._finish, name="edgeseg-record-close", daemon=True)
        worker.start()
        worker.join(CLOSE_SECONDS)

    def _finish(self) -> None:
        with self._lock:
            self._closed = True
            for recorder in self._recorders.values():
                recorder.close()

    def _recorder(self, camera: str) -> Recorder:
        recorder = self._recorders.get(camera)
        if recorder is None:
            recorder = Recorder(camera, self._options, self._shelf, self._events, self._clocks)
            if self._command is not None:
                recorder.gate.command(self._command)
            self._recorders[camera] = recorder
        return recorder

    def _order(self, command: Command, camera: str | None) -> None:
        if camera is None:
            self._command = command  # for cameras that come later, too
        for name, recorder in self._recorders.copy().items():
            if camera in (None, name):
                recorder.gate.command(command)
