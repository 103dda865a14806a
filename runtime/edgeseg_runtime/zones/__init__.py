"""Named parts of a camera's picture, and what the masks say happens in them."""

from __future__ import annotations

from edgeseg_runtime.zones.areas import ZoneAreas, ZoneShares
from edgeseg_runtime.zones.file import ZoneMap, load_zones, save_zones
from edgeseg_runtime.zones.polygon import Zone
from edgeseg_runtime.zones.rules import ZoneEvents, ZoneRule
from edgeseg_runtime.zones.sink import ZoneSink

__all__ = [
    "Zone",
    "ZoneAreas",
    "ZoneEvents",
    "ZoneMap",
    "ZoneRule",
    "ZoneShares",
    "ZoneSink",
    "load_zones",
    "save_zones",
]
