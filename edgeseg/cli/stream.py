"""`edgeseg stream`."""

from __future__ import annotations

import atexit
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from cyclopts import Parameter

from edgeseg.cli.console import answer_json, note
from edgeseg.cli.live_config import LiveConfig
from edgeseg.cli.live_line import CameraLine, live_line, live_text
from edgeseg.cli.loading import EngineConfig
from edgeseg.cli.objects_config import ObjectConfig
from edgeseg.cli.outputs import OutputConfig
from edgeseg.cli.outward_config import EventConfig
from edgeseg.cli.source_config import SourceConfig
from edgeseg.cli.stream_groups import STREAM
from edgeseg_runtime.errors import ConfigError

if TYPE_CHECKING:
    from types import FrameType

    from edgeseg_runtime.stream import Stop

END_SECONDS = 3.0
"""A stream that has not ended so long after it was asked to is stuck."""


@Parameter(name="*", group=STREAM)
@dataclass(frozen=True)
class StreamConfig:
    """What to stream."""

    model: Path
    """An .onnx or OpenVINO .xml file, or a folder that holds one."""
    what: SourceConfig = field(default_factory=SourceConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)
    outputs: OutputConfig = field(default_factory=OutputConfig)
    objects: ObjectConfig = field(default_factory=ObjectConfig)
    happening: EventConfig = field(default_factory=EventConfig)
    live: LiveConfig = field(default_factory=LiveConfig)
    json: bool = False
    """Print the summary as JSON on stdout."""

    def __post_init__(self) -> None:
        writers = [
            ("--json", self.json),
            ("--jsonl -", self.outputs.jsonl == "-"),
            ("--events -", self.happening.events == "-"),
        ]
        if len(on_stdout := [flag for flag, wanted in writers if wanted]) > 1:
            raise ConfigError(f"{' and '.join(on_stdout)} both write to stdout; give all but one a file")
        sources = self.what.sources
        if not sources:
            raise ConfigError("name what to stream with --source or --camera")
        virtual = ["--virtual-camera"] if self.outputs.virtual_camera is not None else []
        if not sources[0].live and (flags := [*self.live.named(), *virtual]):
            raise ConfigError(f"{flags[0]} is for cameras and live streams, and {sources[0].spec} is a recording")
        nothing_happens = self.happening.zones is None and not self.objects.count_line
        if not sources[0].live and self.happening.events is not None and nothing_happens:
            raise ConfigError("what happens in a recording happens in --zones or at a --count-line; --events needs one")
        if sources[0].live and self.outputs.coco is not None:
            raise ConfigError("--coco holds a recording, which has an end; --jsonl and --csv follow cameras")
        if len(sources) > 1 and self.outputs.video is not None:
            raise ConfigError("--video holds one camera; --record FOLDER writes files for each")
        if len(sources) > 1 and virtual:
            raise ConfigError("--virtual-camera shows one camera, and several are given")
        self.live.cameras.check([source.spec for source in sources])


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
