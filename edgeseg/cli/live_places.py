"""What a live stream puts out besides the outputs of any stream, and the viewer's hold on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeseg.cli.console import note
from edgeseg.cli.live_checks import Checked
from edgeseg.cli.live_config import LiveConfig
from edgeseg.cli.live_controls import Models, Recording, Snapshots, ZoneDrawing
from edgeseg.cli.outputs import SNAPSHOTS
from edgeseg.cli.record_config import RecordConfig

if TYPE_CHECKING:
    from edgeseg_runtime.contract import Contract
    from edgeseg_runtime.events import Events
    from edgeseg_runtime.recording.sink import RecordSink
    from edgeseg_runtime.serving.server import ModelServer
    from edgeseg_runtime.serving.spec import ModelSpec
    from edgeseg_runtime.sinks.base import Sink
    from edgeseg_runtime.web.controls import Controls
    from edgeseg_runtime.zones.polygon import Zone
    from edgeseg_runtime.zones.sink import ZoneSink


class Places:
    """The outputs that only live streams have, and the viewer's buttons that belong to them."""

    def __init__(
        self,
        model: ModelServer,
        spec: ModelSpec,
        live: LiveConfig,
        zones_file: Path | None,
        checked: Checked,
        contract: Contract,
        cameras: Sequence[str],
        events: Events,
    ) -> None:
        self.sinks: list[Sink[Any]] = []
        self._zone_sink: ZoneSink | None = None
        record = snapshots = zones = None
        if live.recording.record is not None:
            record = Recording(self._recorder(live.recording, live.recording.record, contract, events))
        if zones_file is not None:
            zones = self._zones(zones_file, checked, cameras, events)
        if checked.web is not None:
            from edgeseg_runtime.recording.snapshot import SnapshotSink

            sink = SnapshotSink(snapshot_folder(live))
            self.sinks.append(sink)
            snapshots = Snapshots(sink)
        self._parts = (Models(model, spec, live.viewer.also), record, snapshots, zones)

    def zones(self, camera: str) -> tuple[Zone, ...]:
        """Return a camera's zones as they are now."""
        return () if self._zone_sink is None else self._zone_sink.zones().get(camera, ())

    def controls(self) -> Controls:
        """Return the viewer's buttons."""
        from edgeseg_runtime.web.controls import Controls

        return Controls(*self._parts)

    def _recorder(self, wanted: RecordConfig, folder: Path, contract: Contract, events: Events) -> RecordSink:
        from edgeseg_runtime.recording.options import RecordOptions
        from edgeseg_runtime.recording.sink import RecordSink

        options = RecordOptions(folder, trigger=wanted.record_on, quota_bytes=wanted.quota_bytes())
        if wanted.record_segment is not None:
            options = replace(options, segment_seconds=wanted.record_segment)
        sink = RecordSink(options, contract.names, events)
        self.sinks.append(sink)
        return sink

    def _zones(self, path: Path, checked: Checked, cameras: Sequence[str], events: Events) -> ZoneDrawing:
        from edgeseg_runtime.zones.sink import ZoneSink

        zones = checked.zones
        for remark in checked.remarks:
            note(f"note: {remark}")
        others = {camera: ones for camera, ones in zones.items() if camera not in cameras}
        if others:
            note(f"note: {path} has zones of {', '.join(others)}, which this stream has not")
        sink = ZoneSink({camera: ones for camera, ones in zones.items() if camera in cameras}, events)
        self.sinks.append(sink)
        self._zone_sink = sink
        return ZoneDrawing(sink, path, cameras, others)


def snapshot_folder(live: LiveConfig) -> Path:
    """Return where pictures go that somebody wanted kept."""
    return (live.recording.record or Path()) / SNAPSHOTS
