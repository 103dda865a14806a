"""`edgeseg stream`."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from edgeseg.cli.console import answer_json, note
from edgeseg.cli.loading import EngineConfig, engine_facts, load_segmenter
from edgeseg.cli.outputs import OutputConfig, open_sinks
from edgeseg_runtime.errors import ConfigError

if TYPE_CHECKING:
    from types import FrameType

    from edgeseg_runtime.stats import StreamSummary
    from edgeseg_runtime.stream import Stop

INTERRUPTED = 130


@Parameter(name="*")
@dataclass(frozen=True)
class StreamConfig:
    """What to stream."""

    model: Path
    """An .onnx or OpenVINO .xml file, or a folder that holds one."""
    source: Annotated[str, Parameter(group="Source", show_default=False)] = ""
    """A video file, a picture, a folder of pictures, a glob in quotes, or an rtsp:// or http:// URL."""
    camera: Annotated[int | None, Parameter(group="Source")] = None
    """A camera of this machine, by number; 0 is the first."""
    limit: Annotated[int | None, Parameter(group="Source")] = None
    """End after this many frames."""
    engine: EngineConfig = field(default_factory=EngineConfig)
    outputs: OutputConfig = field(default_factory=OutputConfig)
    json: bool = False
    """Print the summary as JSON on stdout."""

    def __post_init__(self) -> None:
        if bool(self.source) == (self.camera is not None):
            raise ConfigError("name one of --source and --camera")
        if self.json and self.outputs.jsonl == "-":
            raise ConfigError("--json and --jsonl - both write to stdout; give --jsonl a file")


def stream(*, config: StreamConfig) -> int:
    """Run a model live on a camera, a stream, a video or a folder.

    Of a camera or a network stream the newest frame is always taken, and frames
    that it overtook are counted as dropped. Videos and pictures give every frame
    once, in order, as fast as the machine can.

    Ctrl-C and SIGTERM end the stream within two seconds and leave files that play.
    The exit code is then 0 for a live source, which has no end of its own, and 130
    for a recording, which was not worked through.

    For example:

      edgeseg stream --model export/openvino-int8 --camera 0
      edgeseg stream --model model.onnx --source clip.mp4 --video out.mp4 --masks m/
      edgeseg stream --model model.onnx --source rtsp://10.0.0.7/cam --jsonl -
    """
    from edgeseg_runtime.sources import open_camera, open_source
    from edgeseg_runtime.stream import StreamOptions, run_stream

    source = open_source(config.source) if config.camera is None else open_camera(config.camera)
    segmenter, lanes = load_segmenter(config.model, config.engine, live=source.live)
    options = StreamOptions(lanes, config.limit, config.outputs.opacity)
    sinks = open_sinks(config.outputs, source, segmenter.contract)
    with stop_on_signals() as stop, _live_line() as watch:
        summary = run_stream(source, segmenter, sinks, options, stop=stop, watch=watch)
    for remark in summary.remarks:
        note(f"note: {remark}")
    if config.json:
        answer_json({**engine_facts(segmenter, config.engine, lanes), **summary.as_dict()})
    else:
        _tell(summary, config.outputs)
    return _exit_code(summary)


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """Let SIGINT and SIGTERM end the stream in good order; a second one interrupts at once."""
    from edgeseg_runtime.stream import Stop

    stop = Stop()

    def handle(_signum: int, _frame: FrameType | None) -> None:
        if stop.wanted:
            raise KeyboardInterrupt
        stop.wanted = True

    if threading.current_thread() is not threading.main_thread():  # only the main thread gets signals
        yield stop
        return
    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _live_line() -> Iterator[Any]:
    """Give the watcher that a terminal gets; None where stderr is none."""
    from edgeseg.cli.live_line import LiveLine

    if not sys.stderr.isatty():
        yield None
        return
    line = LiveLine()
    try:
        yield line
    finally:
        line.clear()


def _tell(summary: StreamSummary, outputs: OutputConfig) -> None:
    from edgeseg.cli.live_line import summary_text

    note(summary_text(summary))
    written = [str(path) for path in (outputs.video, outputs.masks, outputs.jsonl) if path not in (None, "-")]
    if written and summary.emitted:
        note(f"  wrote {', '.join(written)}")


def _exit_code(summary: StreamSummary) -> int:
    if summary.ended != "interrupted" or (summary.live and summary.emitted):
        return 0
    note(f"interrupted after {summary.emitted} frames; the outputs hold what was done")
    return INTERRUPTED
