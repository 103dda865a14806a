"""`edgeseg stream`."""

from __future__ import annotations

import atexit
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

from edgeseg.cli.console import answer_json, note
from edgeseg.cli.live_line import CameraLine, live_line, live_text
from edgeseg.cli.stream_config import StreamConfig

if TYPE_CHECKING:
    from types import FrameType

    from edgeseg_runtime.stream import Stop

END_SECONDS = 3.0
"""A stream that has not ended so long after it was asked to is stuck."""


def stream(*, config: StreamConfig) -> int:
    """Run a model live on cameras and streams, or on a video or a folder.

    Of a camera or a network stream the newest frame is always taken, and frames
    that it overtook are counted as dropped. It may be absent, stall, come back with
    another size: the stream goes on, and says what it waits for. Videos and
    pictures give every frame once, in order, as fast as the machine can.

    Ctrl-C and SIGTERM end the stream within two seconds and leave files that play.
    The exit code is then 0 for a live source, which has no end of its own, and 130
    for a recording, which was not worked through.

    For example:

      edgeseg stream --model export/openvino-int8 --camera 0
      edgeseg stream --model model.onnx --source clip.mp4 --video out.mp4 --masks m/
      edgeseg stream --model model.onnx --source rtsp://10.0.0.7/cam --web 8080
      edgeseg stream --model m/ --camera 0 --record rec/ --record-on "person>5%"
      edgeseg stream --model m/ --camera 0 --count-line door=0.1,0.6,0.9,0.6
      edgeseg stream --model m/ --source clip.mp4 --zones zones.yaml --events out.jsonl
    """
    with stop_on_signals() as stop:
        if config.what.sources[0].live:
            return _stream_live(config, stop)
        from edgeseg.cli.recorded import stream_recording

        return stream_recording(config, stop)


def _stream_live(config: StreamConfig, stop: Stop) -> int:
    from edgeseg.cli.live import stream_live

    with live_line(CameraLine) as watch:
        summary = stream_live(config, stop, watch)
    if config.json:
        answer_json(summary.as_dict())
    else:
        note(live_text(summary))
    return 0


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """Let SIGINT and SIGTERM end the stream in good order, however often they come until the process is gone.

    One that comes when the end should long have come interrupts at once.
    """
    from edgeseg_runtime.stream import Stop

    stop = Stop()
    asked_at: float | None = None

    def handle(_signum: int, _frame: FrameType | None) -> None:
        nonlocal asked_at
        asked_at = asked_at or monotonic()
        if monotonic() - asked_at > END_SECONDS:
            raise KeyboardInterrupt
        stop.wanted = True

    if threading.current_thread() is not threading.main_thread():  # only the main thread gets signals
        yield stop
        return
    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        if asked_at is None:
            for number, handler in before.items():
                signal.signal(number, handler)
        else:
            atexit.register(_ignore_signals)


def _ignore_signals() -> None:
    """Keep an impatient ctrl-C from killing a process whose work is done: Python, while it ends, drops its handlers."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
