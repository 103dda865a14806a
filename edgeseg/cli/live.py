"""`edgeseg stream` on cameras and live streams."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, Any

from edgeseg.cli.console import note
from edgeseg.cli.live_checks import Checked, check
from edgeseg.cli.live_config import LiveConfig
from edgeseg.cli.live_places import Places, snapshot_folder
from edgeseg.cli.loading import read_contract
from edgeseg.cli.objects_config import check_objects
from edgeseg.cli.outputs import open_sinks
from edgeseg.cli.outward_config import DeliveryConfig, PrivacyConfig
from edgeseg.cli.viewer_config import TOKEN_VARIABLE
from edgeseg_runtime.errors import ConfigError, SourceError

if TYPE_CHECKING:
    from edgeseg.cli.stream_config import StreamConfig
    from edgeseg_runtime.address import Address
    from edgeseg_runtime.contract import Contract
    from edgeseg_runtime.events import Event, Events
    from edgeseg_runtime.live.loop import LiveLoop, LiveOptions
    from edgeseg_runtime.live.show import Filter
    from edgeseg_runtime.live.status import CameraStatus, Status
    from edgeseg_runtime.live.summary import LiveSummary
    from edgeseg_runtime.pipeline import Stop
    from edgeseg_runtime.preprocess import Image
    from edgeseg_runtime.telemetry.delivery import Delivery
    from edgeseg_runtime.web.server import WebServer

SECRET_VARIABLE = "EDGESEG_WEBHOOK_SECRET"
_TOLD = ("model", "output", "filter", "record", "delivery")
"""Subjects of events that somebody in front of the stream should know of."""


def stream_live(config: StreamConfig, stop: Stop, watch: Callable[[Status], None] | None) -> LiveSummary:
    """Stream until the end; return what was done. Raises SourceError when no camera can ever be read."""
    from edgeseg_runtime.capture.camera import Camera
    from edgeseg_runtime.events import Events
    from edgeseg_runtime.live.loop import LiveLoop
    from edgeseg_runtime.serving.server import ModelServer
    from edgeseg_runtime.serving.spec import ModelSpec, ServingOptions

    engine, live = config.engine, config.live
    tricks = live.tricks
    if engine.lanes > 1:
        raise ConfigError("--lanes is for recordings: of a live source one frame is worked on at a time, the newest")
    spec = ModelSpec(
        config.model,
        engine.engine,
        engine.device,
        engine.threads,
        read_contract(engine.contract),
        smooth=tricks.smooth,
        track=config.objects.followed,
        adapt=tricks.adapt,
    )
    happening = config.happening
    checked = check(live, config.outputs, happening.zones)
    events = Events()
    with ExitStack() as closing:
        events.subscribe(tell)
        deliveries = _subscribe_outward(happening.events, live.outward, events, closing)
        cameras = [Camera(source.name, source.spec, events, checked.capture) for source in config.what.sources]
        model = ModelServer(spec, events, ServingOptions(tricks.memory_bytes(), tricks.model_load_time))
        closing.callback(model.close)
        contract = model.wait_ready()
        check_objects(config.outputs.of_objects, contract, config.model)
        places = Places(
            model, spec, live, happening.zones, checked, contract, [camera.name for camera in cameras], events
        )
        outputs = config.outputs
        if (live.puts_out or happening.events is not None) and not outputs.named:
            outputs = replace(outputs, none=True)  # no window that nobody asked for
        sinks = open_sinks(outputs, None, contract, snapshot_folder(live)) + places.sinks
        loop = LiveLoop(cameras, model, sinks, _options(config, contract, checked, places), events)
        for delivery in deliveries:
            loop.report(delivery.status)
        with served(live, checked, loop, places, events):
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
    elif event.kind.split(".")[0] in _TOLD and event.kind != "record.segment":
        told = ", ".join(f"{key} {value}" for key, value in data.items() if isinstance(value, (str, int, float)))
        note(f"{where}{event.kind}" + (f": {told}" if told else ""))


@contextmanager
def served(live: LiveConfig, checked: Checked, loop: LiveLoop, places: Places, events: Events) -> Iterator[None]:
    """Serve the viewer and the metrics for as long as the body runs."""
    with ExitStack() as closing:
        if checked.web is not None:
            server = _viewer(live, checked, checked.web, loop, places, events)
            closing.callback(server.close)
        if checked.metrics is not None:
            from edgeseg_runtime.telemetry.metrics_server import MetricsServer

            metrics = MetricsServer(loop.status, checked.metrics.host, checked.metrics.port)
            closing.callback(metrics.close)
            note(f"metrics: {replace(checked.metrics, port=metrics.port).url()}metrics")
        yield


def _viewer(
    live: LiveConfig, checked: Checked, address: Address, loop: LiveLoop, places: Places, events: Events
) -> WebServer:
    from edgeseg_runtime.telemetry.prometheus import metrics_text
    from edgeseg_runtime.web.server import WebServer
    from edgeseg_runtime.web.sink import WebSink

    server = WebServer(
        address,
        places.controls(),
        status=loop.status,
        metrics=lambda: metrics_text(loop.status()),
        events=events,
        token=checked.token,
    )
    loop.add(WebSink(server))
    server.start()
    if checked.token is None:
        note(f"viewer: {server.link}")
    else:  # whoever gave the token has it, and a log need not
        note(f"viewer: {server.url}?token=… (that of {live.viewer.web_token_file or TOKEN_VARIABLE})")
    return server


def _options(config: StreamConfig, contract: Contract, checked: Checked, places: Places) -> LiveOptions:
    from edgeseg_runtime.instances.following import Following
    from edgeseg_runtime.live.loop import LiveOptions
    from edgeseg_runtime.live.tricks import FlowCarry, StaticSkip

    tricks = config.live.tricks
    return LiveOptions(
        limit=config.what.limit,
        opacity=config.outputs.opacity,
        filters=tuple(_filters(config.live.privacy, contract, checked.background)),
        skip=StaticSkip if tricks.skip_static else None,
        following=Following(lines=config.objects.lines, zones=places.zones) if config.objects.followed else None,
        carry=FlowCarry if tricks.every_frame else None,
    )


def _filters(privacy: PrivacyConfig, contract: Contract, picture: Image | None) -> Iterator[Filter]:
    """Yield what changes pictures before anybody sees them; privacy last, so that nothing undoes it."""
    if privacy.background is not None:
        from edgeseg_runtime.privacy.background import Background

        background = Background(privacy.foreground, contract, picture)
        yield lambda shot: background(shot, monotonic())
    if privacy.blur:
        from edgeseg_runtime.privacy.blur import PrivacyBlur

        blur = PrivacyBlur(privacy.blur, contract)
        yield lambda shot: blur(shot, monotonic())


def _subscribe_outward(
    log_to: str | None, outward: DeliveryConfig, events: Events, closing: ExitStack
) -> list[Delivery]:
    """Send events where they are wanted; what waits is delivered, or given up, when `closing` ends."""
    if log_to is not None:
        from edgeseg_runtime.telemetry.event_log import EventLog

        log = EventLog(log_to)
        events.subscribe(log)
        closing.callback(log.close)
    deliveries = []
    for name, sender in _senders(outward):
        from edgeseg_runtime.telemetry.delivery import Delivery
        from edgeseg_runtime.telemetry.disk_spool import DiskSpool
        from edgeseg_runtime.telemetry.spool import MemorySpool

        spool = MemorySpool() if outward.spool is None else DiskSpool(outward.spool / name)
        delivery = Delivery(name, sender, spool, events=events)
        events.subscribe(delivery)
        closing.callback(delivery.close)
        deliveries.append(delivery)
    return deliveries


def _senders(outward: DeliveryConfig) -> Iterator[tuple[str, Any]]:
    if outward.webhook is not None:
        from edgeseg_runtime.telemetry.webhook import WebhookSender

        secret = SECRET_VARIABLE if SECRET_VARIABLE in os.environ else None
        yield "webhook", WebhookSender(outward.webhook, secret_variable=secret)
    if outward.mqtt is not None:
        from edgeseg_runtime.telemetry.mqtt import MqttSender

        yield "mqtt", MqttSender(outward.mqtt)
