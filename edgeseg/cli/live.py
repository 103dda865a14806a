"""`edgeseg stream` on cameras and live streams."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from edgeseg.cli.console import note
from edgeseg.cli.live_config import LiveConfig
from edgeseg.cli.live_controls import Models, Recording, Snapshots, ZoneDrawing
from edgeseg.cli.loading import read_contract
from edgeseg.cli.outputs import open_sinks
from edgeseg_runtime.errors import ConfigError, SourceError
from edgeseg_runtime.extras import require

if TYPE_CHECKING:
    from edgeseg.cli.stream import StreamConfig
    from edgeseg_runtime.contract import Contract
    from edgeseg_runtime.events import Event, Events
    from edgeseg_runtime.live.loop import LiveLoop, LiveOptions
    from edgeseg_runtime.live.show import Filter
    from edgeseg_runtime.live.status import CameraStatus, Status
    from edgeseg_runtime.live.summary import LiveSummary
    from edgeseg_runtime.pipeline import Stop
    from edgeseg_runtime.serving.server import ModelServer
    from edgeseg_runtime.serving.spec import ModelSpec
    from edgeseg_runtime.sinks.base import Sink
    from edgeseg_runtime.telemetry.delivery import Delivery
    from edgeseg_runtime.web.controls import Controls
    from edgeseg_runtime.web.server import WebServer

SECRET_VARIABLE = "EDGESEG_WEBHOOK_SECRET"
SNAPSHOTS = "snapshots"
"""Folder in that of the recordings, or where the stream was started, for what the viewer's button keeps."""


def stream_live(config: StreamConfig, stop: Stop, watch: Callable[[Status], None] | None) -> LiveSummary:
    """Stream until the end; return what was done. Raises SourceError when no camera can ever be read."""
    from edgeseg_runtime.capture.camera import Camera
    from edgeseg_runtime.events import Events
    from edgeseg_runtime.live.loop import LiveLoop
    from edgeseg_runtime.segmenter import model_file
    from edgeseg_runtime.serving.server import ModelServer
    from edgeseg_runtime.serving.spec import ModelSpec, ServingOptions

    engine, live = config.engine, config.live
    if engine.lanes > 1:
        raise ConfigError("--lanes is for recordings: of a live source one frame is worked on at a time, the newest")
    spec = ModelSpec(config.model, engine.engine, engine.device, engine.threads, read_contract(engine.contract))
    events = Events()
    for other in live.also:
        model_file(other)
    with ExitStack() as closing:
        events.subscribe(tell)
        deliveries = _subscribe_outward(live, events, closing)
        cameras = [Camera(source.name, source.spec, events) for source in config.what.sources]
        model = ModelServer(spec, events, ServingOptions(live.memory_bytes(), live.model_load_time))
        closing.callback(model.close)
        contract = model.wait_ready()
        places = Places(model, spec, live, contract, [camera.name for camera in cameras], events)
        outputs = config.outputs
        if live.puts_out and not outputs.named:
            outputs = replace(outputs, none=True)  # no window that nobody asked for
        sinks = open_sinks(outputs, None, contract) + places.sinks
        loop = LiveLoop(cameras, model, sinks, _options(config, contract), events)
        for delivery in deliveries:
            loop.report(delivery.status)
        with served(live, loop, places, events):
            summary = loop.run(stop, watch)
    if summary.ended == "failed":
        raise SourceError("; ".join(_why_failed(camera) for camera in summary.status.cameras))
    return summary


def _why_failed(camera: CameraStatus) -> str:
    if camera.reason == "not live":
        return f"{camera.title} is a recording and no camera; download it and name the file"
    return f"nothing can be read from {camera.title}: {camera.reason}"


def tell(event: Event) -> None:
    """Say on stderr what somebody in front of it should know."""
    data, where = event.data, f"{event.source}: " if event.source else ""
    if event.kind == "source.state":
        why = " · ".join(str(data[key]) for key in ("reason", "detail") if data.get(key))
        note(f"{where}{data['state']}" + (f" ({why})" if why else ""))
    elif event.kind.split(".")[0] in ("model", "output", "record", "delivery") and event.kind != "record.segment":
        told = ", ".join(f"{key} {value}" for key, value in data.items() if isinstance(value, (str, int, float)))
        note(f"{where}{event.kind}" + (f": {told}" if told else ""))


class Places:
    """The outputs that only live streams have, and the viewer's buttons that belong to them."""

    def __init__(
        self,
        model: ModelServer,
        spec: ModelSpec,
        live: LiveConfig,
        contract: Contract,
        cameras: Sequence[str],
        events: Events,
    ) -> None:
        self.sinks: list[Sink[Any]] = []
        record = snapshots = zones = None
        if live.record is not None:
            record = Recording(self._recorder(live, live.record, contract, events))
        if live.zones is not None:
            zones = self._zones(live.zones, cameras, events)
        if live.web is not None:
            from edgeseg_runtime.recording.snapshot import SnapshotSink

            sink = SnapshotSink((live.record or Path()) / SNAPSHOTS)
            self.sinks.append(sink)
            snapshots = Snapshots(sink)
        self._parts = (Models(model, spec, live.also), record, snapshots, zones)

    def controls(self) -> Controls:
        """Return the viewer's buttons."""
        from edgeseg_runtime.web.controls import Controls

        return Controls(*self._parts)

    def _recorder(self, live: LiveConfig, folder: Path, contract: Contract, events: Events) -> Any:
        from edgeseg_runtime.recording.options import RecordOptions
        from edgeseg_runtime.recording.sink import RecordSink

        options = RecordOptions(folder, trigger=live.record_on, quota_bytes=live.quota_bytes())
        sink = RecordSink(options, contract.names, events)
        self.sinks.append(sink)
        return sink

    def _zones(self, path: Path, cameras: Sequence[str], events: Events) -> ZoneDrawing:
        from edgeseg_runtime.zones.file import load_zones
        from edgeseg_runtime.zones.sink import ZoneSink

        zones, remarks = load_zones(path) if path.exists() else ({}, [])
        for remark in remarks:
            note(f"note: {remark}")
        others = {camera: ones for camera, ones in zones.items() if camera not in cameras}
        if others:
            note(f"note: {path} has zones of {', '.join(others)}, which this stream has not")
        sink = ZoneSink({camera: ones for camera, ones in zones.items() if camera in cameras}, events)
        self.sinks.append(sink)
        return ZoneDrawing(sink, path, cameras, others)


@contextmanager
def served(live: LiveConfig, loop: LiveLoop, places: Places, events: Events) -> Iterator[None]:
    """Serve the viewer and the metrics for as long as the body runs."""
    with ExitStack() as closing:
        if live.web is not None:
            server = _viewer(live.web, loop, places, events)
            closing.callback(server.close)
        if live.metrics is not None:
            from edgeseg_runtime.telemetry.metrics_server import MetricsServer
            from edgeseg_runtime.web.address import Address

            address = Address.parse(live.metrics)
            metrics = MetricsServer(loop.status, address.host, address.port)
            closing.callback(metrics.close)
            note(f"metrics: {replace(address, port=metrics.port).url()}metrics")
        yield


def _viewer(text: str, loop: LiveLoop, places: Places, events: Events) -> WebServer:
    require("aiohttp", "web")
    from edgeseg_runtime.telemetry.prometheus import metrics_text
    from edgeseg_runtime.web.address import Address
    from edgeseg_runtime.web.server import WebServer
    from edgeseg_runtime.web.sink import WebSink

    server = WebServer(
        Address.parse(text),
        places.controls(),
        status=loop.status,
        metrics=lambda: metrics_text(loop.status()),
        events=events,
    )
    loop.add(WebSink(server))
    server.start()
    note(f"viewer: {server.link}")
    return server


def _options(config: StreamConfig, contract: Contract) -> LiveOptions:
    from edgeseg_runtime.live.loop import LiveOptions
    from edgeseg_runtime.live.tricks import FlowCarry, StaticSkip

    live = config.live
    return LiveOptions(
        limit=config.what.limit,
        opacity=config.outputs.opacity,
        filters=tuple(_filters(live, contract)),
        skip=StaticSkip if live.skip_static else None,
        carry=FlowCarry if live.every_frame else None,
    )


def _filters(live: LiveConfig, contract: Contract) -> Iterator[Filter]:
    """Yield what changes pictures before anybody sees them; privacy last, so that nothing undoes it."""
    if live.background is not None:
        from edgeseg_runtime.privacy.background import Background
        from edgeseg_runtime.sources.images import read_picture

        picture = None if live.background == "blur" else read_picture(Path(live.background))
        background = Background(live.foreground, contract, picture)
        yield lambda shot: background(shot, monotonic())
    if live.blur:
        from edgeseg_runtime.privacy.blur import PrivacyBlur

        blur = PrivacyBlur(live.blur, contract)
        yield lambda shot: blur(shot, monotonic())


def _subscribe_outward(live: LiveConfig, events: Events, closing: ExitStack) -> list[Delivery]:
    """Send events where they are wanted; what waits is delivered, or given up, when `closing` ends."""
    if live.events is not None:
        from edgeseg_runtime.telemetry.event_log import EventLog

        log = EventLog(live.events)
        events.subscribe(log)
        closing.callback(log.close)
    deliveries = []
    for name, sender in _senders(live):
        from edgeseg_runtime.telemetry.delivery import Delivery
        from edgeseg_runtime.telemetry.disk_spool import DiskSpool
        from edgeseg_runtime.telemetry.spool import MemorySpool

        spool = MemorySpool() if live.spool is None else DiskSpool(live.spool / name)
        delivery = Delivery(name, sender, spool, events=events)
        events.subscribe(delivery)
        closing.callback(delivery.close)
        deliveries.append(delivery)
    return deliveries


def _senders(live: LiveConfig) -> Iterator[tuple[str, Any]]:
    if live.webhook is not None:
        from edgeseg_runtime.telemetry.webhook import WebhookSender

        secret = SECRET_VARIABLE if SECRET_VARIABLE in os.environ else None
        yield "webhook", WebhookSender(live.webhook, secret_variable=secret)
    if live.mqtt is not None:
        from edgeseg_runtime.telemetry.mqtt import MqttSender

        yield "mqtt", MqttSender(live.mqtt)
