"""What the viewer's buttons do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from edgeseg_runtime.errors import ConfigError

if TYPE_CHECKING:
    from edgeseg_runtime.recording.sink import RecordSink
    from edgeseg_runtime.recording.snapshot import SnapshotSink
    from edgeseg_runtime.serving.server import ModelServer
    from edgeseg_runtime.serving.spec import ModelSpec
    from edgeseg_runtime.web.controls import ZoneShape
    from edgeseg_runtime.zones.polygon import Zone
    from edgeseg_runtime.zones.sink import ZoneSink


ORDER_SECONDS = 1.0
"""How long an order counts as followed, whatever the recordings say."""


class Models:
    """The models that were named at the start, by the shortest names that tell them apart."""

    def __init__(self, server: ModelServer, first: ModelSpec, others: Sequence[Path]) -> None:
        self._server = server
        specs = [first, *(replace(first, path=path, engine=None) for path in others)]
        self._specs = dict(zip(short_names([spec.path for spec in specs]), specs, strict=True))
        self._current = next(iter(self._specs))

    def names(self) -> Sequence[str]:
        """Return them all."""
        return list(self._specs)

    def current(self) -> str:
        """Return the one that serves."""
        return self._current

    def switch(self, name: str) -> None:
        """Let another one serve. Raises EdgesegError where it is refused; the old one serves on."""
        if name not in self._specs:
            raise ConfigError(f"there is no model {name!r}; there are {', '.join(self._specs)}")
        self._server.swap(self._specs[name])
        self._current = name


class Recording:
    """The record button."""

    def __init__(self, sink: RecordSink) -> None:
        self._sink = sink
        self._asked: tuple[bool, float] = (False, -inf)

    def recording(self) -> bool:
        """Whether any camera is being recorded, or is about to be: orders are followed with the next frame."""
        wanted, at = self._asked
        if monotonic() - at < ORDER_SECONDS:
            return wanted
        return any(status.recording for status in self._sink.status().values())

    def start(self) -> None:
        """Record all cameras."""
        self._sink.start()
        self._asked = True, monotonic()

    def stop(self) -> None:
        """End that."""
        self._sink.stop()
        self._asked = False, monotonic()


class Snapshots:
    """The snapshot button."""

    def __init__(self, sink: SnapshotSink) -> None:
        self._sink = sink

    def take(self, camera: str) -> str:
        """Keep a camera's newest picture and its mask; return the picture's name. Raises EdgesegError."""
        return self._sink.take(camera).picture.name


class ZoneDrawing:
    """Zones as the viewer draws them, kept in their file."""

    def __init__(
        self, sink: ZoneSink, path: Path, cameras: Sequence[str], others: Mapping[str, tuple[Zone, ...]]
    ) -> None:
        """`others`: zones of cameras that are not in this stream, to be kept in the file."""
        self._sink, self._path, self._cameras, self._others = sink, path, cameras, others

    def zones(self) -> Sequence[ZoneShape]:
        """Return all zones."""
        return [
            {"name": zone.name, "camera": camera, "points": [list(point) for point in zone.points]}
            for camera, zones in self._sink.zones().items()
            for zone in zones
        ]

    def replace(self, zones: Sequence[ZoneShape]) -> None:
        """Watch these and keep them. Raises EdgesegError."""
        from edgeseg_runtime.zones.file import save_zones
        from edgeseg_runtime.zones.polygon import Zone

        drawn: dict[str, tuple[Zone, ...]] = dict.fromkeys(self._cameras, ())
        for shape in zones:
            if shape["camera"] not in drawn:
                raise ConfigError(f"there is no camera {shape['camera']!r}; there are {', '.join(self._cameras)}")
            zone = Zone(shape["name"], tuple((x, y) for x, y in shape["points"]))
            drawn[shape["camera"]] = (*drawn[shape["camera"]], zone)
        save_zones(self._path, {**self._others, **drawn})
        for camera, ones in drawn.items():
            self._sink.set_zones(camera, ones)


def short_names(paths: Sequence[Path]) -> list[str]:
    """Return, for each path, as few of its last parts as tell it from the others. Raises ConfigError for twins."""
    resolved = [path.resolve() for path in paths]
    if len(set(resolved)) < len(resolved):
        raise ConfigError(
            f"the model {next(path for path in paths if resolved.count(path.resolve()) > 1)} is named twice"
        )
    for parts in range(1, max(len(path.parts) for path in resolved) + 1):
        names = ["/".join(path.parts[-parts:]) for path in resolved]
        if len(set(names)) == len(names):
            break
    return names
