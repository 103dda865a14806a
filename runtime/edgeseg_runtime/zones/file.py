"""Zones on disk: a YAML file that people can read and write.

::

    cameras:
      door:                                        # '' where the stream has only one camera
        - name: entrance
          points: [[0.1, 0.2], [0.5, 0.2], [0.5, 0.9]]
"""

from __future__ import annotations

import errno
import math
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from edgeseg_runtime.errors import ConfigError, OutputError
from edgeseg_runtime.files import write_text
from edgeseg_runtime.zones.polygon import Point, Zone

ZoneMap: TypeAlias = "dict[str, tuple[Zone, ...]]"
"""The zones of each camera, by its name."""

MOST_ZONES = 64
"""For each camera."""
_MOST_BYTES = 1_000_000


def load_zones(path: Path) -> tuple[ZoneMap, list[str]]:
    """Return the zones and remarks on what is allowed but seldom meant, such as a border that crosses itself.

    Raises ConfigError that names the file, the line, and what is wrong there.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"the zones {path} cannot be read: {error.strerror}") from error
    if len(text) > _MOST_BYTES:
        raise ConfigError(f"{path} is longer than {_MOST_BYTES} bytes, and cannot be a file of zones")
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        line = getattr(getattr(error, "problem_mark", None), "line", None)
        where = f"{path}, line {line + 1}" if line is not None else str(path)
        raise ConfigError(f"{where}: this is not YAML: {getattr(error, 'problem', None) or 'unreadable'}") from error
    return _Reader(path).read(root)


def save_zones(path: Path, zones: Mapping[str, tuple[Zone, ...]]) -> None:
    """Write zones so that `load_zones` reads them back equal; the old file stays until the new one is whole.

    Raises ConfigError for what `load_zones` would refuse, and OutputError.
    """
    for camera, ones in zones.items():
        check_zones(camera, ones)
    plain = {
        camera: [{"name": zone.name, "points": [list(point) for point in zone.points]} for zone in ones]
        for camera, ones in zones.items()
    }
    text = yaml.safe_dump({"cameras": plain}, allow_unicode=True, sort_keys=False, default_flow_style=None)
    try:
        write_text(path, text)
    except OSError as error:
        raise OutputError(f"the zones {path} cannot be written: {error.strerror}") from error


def check_can_save(path: Path) -> None:
    """Make the folder of a file of zones and try to write there. Raises OutputError, so that nobody draws in vain."""
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if path.parent.is_file():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise OutputError(f"the zones {path} cannot be written: {error.strerror}") from error


def check_zones(camera: str, zones: tuple[Zone, ...]) -> None:
    """Raise ConfigError where two zones of a camera have one name, or there are too many."""
    names = [zone.name for zone in zones]
    if double := next((name for name in names if names.count(name) > 1), None):
        raise ConfigError(f"camera {camera!r} has two zones named {double!r}; give each one a name of its own")
    if len(zones) > MOST_ZONES:
        raise ConfigError(f"camera {camera!r} has {len(zones)} zones; at most {MOST_ZONES} are allowed")


class _Reader:
    """Goes through YAML's nodes, because they know their lines."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._remarks: list[str] = []

    def read(self, root: yaml.Node | None) -> tuple[ZoneMap, list[str]]:
        if root is None:
            return {}, []
        cameras = self._fields(root, "a file of zones", {"cameras"})["cameras"]
        zones = {name: self._camera(name, node) for name, node in self._pairs(cameras, "cameras")}
        return zones, self._remarks

    def _camera(self, camera: str, node: yaml.Node) -> tuple[Zone, ...]:
        zones = tuple(self._zone(one) for one in self._items(node, f"camera {camera!r}"))
        self._checked(node, check_zones, camera, zones)
        return zones

    def _zone(self, node: yaml.Node) -> Zone:
        fields = self._fields(node, "a zone", {"name", "points"})
        if not isinstance(fields["name"], yaml.ScalarNode):
            raise self._error(fields["name"], "a zone's name must be a text")
        name = fields["name"].value
        points = tuple(self._point(one, name) for one in self._items(fields["points"], f"zone {name!r}: points"))
        zone: Zone = self._checked(node, Zone, name, points)
        if zone.crosses_itself:
            self._remarks.append(
                f"{self._path}, line {node.start_mark.line + 1}: the border of zone {name!r} crosses itself; what it "
                "encloses twice is outside"
            )
        return zone

    def _point(self, node: yaml.Node, zone: str) -> Point:
        values = [self._number(one, zone) for one in self._items(node, f"zone {zone!r}: a point")]
        if len(values) != 2:
            raise self._error(node, f"zone {zone!r}: a point is [x, y], got {len(values)} numbers")
        return values[0], values[1]

    def _number(self, node: yaml.Node, zone: str) -> float:
        try:
            value = float(node.value)
        except (TypeError, ValueError):
            value = math.nan
        if math.isnan(value):
            raise self._error(node, f"zone {zone!r}: {str(node.value)[:40]!r} is not a number")
        return value

    def _fields(self, node: yaml.Node, what: str, names: set[str]) -> dict[str, yaml.Node]:
        fields = dict(self._pairs(node, what))
        wrong = sorted(fields.keys() ^ names)
        if wrong:
            known = " and ".join(sorted(names))
            raise self._error(node, f"{what} has {known}, and here {wrong[0]!r} is {_fault(wrong[0], names)}")
        return fields

    def _pairs(self, node: yaml.Node, what: str) -> list[tuple[str, yaml.Node]]:
        if isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null":
            return []
        if not isinstance(node, yaml.MappingNode):
            raise self._error(node, f"{what} must be written as `key: value`")
        names: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.value in names:
                raise self._error(key, f"{what}: {str(key.value)[:40]!r} is there twice, or is no text")
            names.add(key.value)
        return [(key.value, value) for key, value in node.value]

    def _items(self, node: yaml.Node, what: str) -> list[yaml.Node]:
        if isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null":
            return []
        if not isinstance(node, yaml.SequenceNode):
            raise self._error(node, f"{what} must be a list")
        return list(node.value)

    def _checked(self, node: yaml.Node, check: Any, *values: Any) -> Any:
        try:
            return check(*values)
        except ConfigError as error:
            raise self._error(node, str(error)) from error

    def _error(self, node: yaml.Node, what: str) -> ConfigError:
        return ConfigError(f"{self._path}, line {node.start_mark.line + 1}: {what}")


def _fault(name: str, known: set[str]) -> str:
    return "missing" if name in known else "unknown"
