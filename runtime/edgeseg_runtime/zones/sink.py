"""The output that watches zones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from threading import RLock
from time import monotonic

from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.events import Events
from edgeseg_runtime.sinks.base import Shot, Sink
from edgeseg_runtime.zones.areas import ZoneAreas, ZoneShares
from edgeseg_runtime.zones.file import check_zones
from edgeseg_runtime.zones.polygon import Zone
from edgeseg_runtime.zones.rules import ZoneEvents, ZoneRule


@dataclass(frozen=True)
class ZoneReading:
    """What is known of a camera's zones."""

    masked_at: float
    """When the frame of the mask was captured (`time.monotonic`)."""
    shares: ZoneShares


class _Camera:
    def __init__(self, zones: tuple[Zone, ...], events: ZoneEvents) -> None:
        self.zones, self.events = zones, events
        self.areas = ZoneAreas(zones)
        self.measured: ZoneReading | None = None


class ZoneSink(Sink[None]):
    """Measures each new mask in its camera's zones, publishes enter and leave, keeps the newest figures.

    A mask that is shown again says nothing new and is not measured again. One older than `max_age` seconds is stale:
    there are then no figures, and what was inside leaves.
    """

    name = "zones"

    def __init__(
        self,
        zones: Mapping[str, tuple[Zone, ...]],
        events: Events,
        rule: ZoneRule | None = None,
        *,
        max_age: float = 2.0,
    ) -> None:
        if not max_age > 0:
            raise ConfigError(f"the age at which zones grow stale must be above 0 s, got {max_age:g}")
        self.patience = min(0.5, max_age / 2)
        self._events, self._rule, self._max_age = events, rule, max_age
        self._lock = RLock()  # a listener may ask for the zones
        self._cameras: dict[str, _Camera] = {}
        for camera, ones in zones.items():
            self.set_zones(camera, ones)

    def set_zones(self, camera: str, zones: tuple[Zone, ...]) -> None:
        """Watch other zones of a camera from now on. Raises ConfigError and keeps the old ones. From any thread."""
        check_zones(camera, zones)
        with self._lock:
            before = self._cameras.get(camera)
            if before is not None:
                before.events.reset()
            self._cameras[camera] = _Camera(zones, ZoneEvents(self._events, camera, self._rule))

    def zones(self) -> dict[str, tuple[Zone, ...]]:
        """Return the zones of each camera. From any thread."""
        with self._lock:
            return {name: camera.zones for name, camera in self._cameras.items()}

    def latest(self) -> dict[str, ZoneReading]:
        """Return the newest figures of each camera that has some which are not stale. From any thread."""
        oldest = monotonic() - self._max_age
        with self._lock:
            readings = {name: camera.measured for name, camera in self._cameras.items()}
        return {name: one for name, one in readings.items() if one is not None and one.masked_at >= oldest}

    def encode(self, shot: Shot) -> None:
        """Do nothing: only the thread that writes knows the order of the masks."""

    def write(self, shot: Shot, encoded: None) -> None:  # noqa: ARG002
        """Measure a new mask; look after the other cameras."""
        with self._lock:
            camera = self._cameras.get(shot.frame.camera)
            if camera is not None and camera.zones:
                self._measure(camera, shot)
        self.idle()

    def idle(self) -> None:
        """Let stale figures go."""
        oldest = monotonic() - self._max_age
        with self._lock:
            for camera in self._cameras.values():
                if camera.measured is not None and camera.measured.masked_at < oldest:
                    self._forget(camera)

    def close(self) -> None:
        """What is inside leaves: nobody watches any more."""
        with self._lock:
            for camera in self._cameras.values():
                self._forget(camera, "ended")

    def _measure(self, camera: _Camera, shot: Shot) -> None:
        at, last = shot.masked_at, camera.measured
        if at is None or monotonic() - at > self._max_age:
            self._forget(camera)
        elif last is None or at > last.masked_at:
            shares = camera.areas.shares(shot.result.mask, shot.result.contract.names)
            camera.measured = ZoneReading(at, shares)
            camera.events.update(shares, at)

    def _forget(self, camera: _Camera, reason: str = "stale") -> None:
        camera.measured = None
        camera.events.reset(reason)
