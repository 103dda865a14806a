"""edgeseg as `edgeseg stream` puts it together: cameras, the model's process, the live loop, the viewer; its defaults.

One output more takes the pictures as they are given to every output. Where inference is to take longer, the model's
answers are held back, as in `benchmarks/live.py`.
"""

from __future__ import annotations

from pathlib import Path

from edgeseg.cli.stream import stop_on_signals
from edgeseg_runtime.address import Address
from edgeseg_runtime.capture.camera import Camera
from edgeseg_runtime.events import Event, Events
from edgeseg_runtime.live.base import LiveModel
from edgeseg_runtime.live.loop import LiveLoop
from edgeseg_runtime.serving.server import ModelServer
from edgeseg_runtime.serving.spec import ModelSpec
from edgeseg_runtime.sinks.base import Shot, Sink
from edgeseg_runtime.web.server import WebServer
from edgeseg_runtime.web.sink import WebSink
from live import HeldBack
from ordeals.drivers.wire import Task, Wire


class Out(Sink[None]):
    """Tells of every shot."""

    name = "wire"
    backlog = 64

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def encode(self, shot: Shot) -> None:
        """Nothing to prepare."""

    def write(self, shot: Shot, encoded: None) -> None:  # noqa: ARG002
        """Tell of it."""
        assert shot.masked_at is not None
        self._wire.shown(int(shot.frame.camera), shot.frame.image, shot.frame.captured_at - shot.masked_at)

    def close(self) -> None:
        """Nothing is open."""


def main() -> None:
    """Stream until interrupted."""
    task, wire, events = Task.from_arguments(), Wire(), Events()

    def tell(event: Event) -> None:
        told = " · ".join(str(value) for value in event.data.values() if value)
        wire.told(f"{event.kind} {told}", int(event.source) if event.source else None)

    with stop_on_signals() as stop:
        events.subscribe(tell)
        server = ModelServer(ModelSpec(Path(task.model)), events)
        server.wait_ready()
        model: LiveModel = HeldBack(server, task.inference_seconds) if task.inference_seconds else server
        cameras = [Camera(str(number), url, events) for number, url in enumerate(task.urls)]
        loop = LiveLoop(cameras, model, [Out(wire)], events=events)
        viewer = None
        if task.viewer:
            viewer = WebServer(Address.parse("0"), status=loop.status, events=events)
            loop.add(WebSink(viewer))
            viewer.start()
            wire.viewer(viewer.url)
        wire.start("edgeseg", "openvino", "onnxruntime", "av", "opencv-python")
        try:
            loop.run(stop)
            wire.done()
        finally:
            if viewer is not None:
                viewer.close()
            server.close()


if __name__ == "__main__":
    main()
