"""What was counted up to a frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgeseg_runtime.instances.lines import CountLine

if TYPE_CHECKING:  # its package brings the sinks, which know results
    from edgeseg_runtime.zones.polygon import Zone


@dataclass(frozen=True)
class LineCount:
    """How many objects have gone over a line so far, by class."""

    line: CountLine
    into: Mapping[str, int]
    out: Mapping[str, int]

    def as_dict(self) -> dict[str, dict[str, int]]:
        """Return plain JSON values."""
        return {"in": dict(self.into), "out": dict(self.out)}


@dataclass(frozen=True)
class ZoneCount:
    """How many objects are in a zone, and have come into it so far, by class."""

    zone: Zone
    inside: Mapping[str, int]
    entered: Mapping[str, int]

    def as_dict(self) -> dict[str, dict[str, int]]:
        """Return plain JSON values."""
        return {"inside": dict(self.inside), "entered": dict(self.entered)}


@dataclass(frozen=True)
class Counts:
    """Of one camera, up to a frame."""

    objects: Mapping[str, int] = field(default_factory=dict)
    """In that frame, by class."""
    lines: tuple[LineCount, ...] = ()
    zones: tuple[ZoneCount, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "objects": dict(self.objects),
            "lines": {count.line.name: count.as_dict() for count in self.lines},
            "zones": {count.zone.name: count.as_dict() for count in self.zones},
        }
