"""Which objects stand in which zone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from edgeseg_runtime.instances.counts import ZoneCount
from edgeseg_runtime.instances.places import feet
from edgeseg_runtime.instances.result import InstanceResult
from edgeseg_runtime.zones.polygon import Zone

SETTLE_SECONDS = 0.3
"""How long an object must stand inside or outside before that is believed: boxes tremble at a border."""
UNSEEN_SECONDS = 0.5
"""How long an object that is not seen still counts as inside. It has left when its track is given up, for until then it
may come back as the one it was."""


@dataclass(frozen=True)
class Move:
    """An object came into a zone, or went."""

    zone: str
    id: int
    name: str
    """Of its class."""
    entered: bool
    seconds: float | None = None
    """How long it was inside, as far as it was seen; None where it came."""
    reason: str | None = None
    """Why it is not inside any more where it was not seen to go: `lost`, `stale`, `redrawn`, `ended`."""


@dataclass
class _Stay:
    """Of one object at one zone."""

    name: str
    since: float
    """When it came in."""
    seen_at: float
    inside: bool = False
    otherwise: float | None = None
    """From when on it was seen where it is not believed to be."""


class ZonePresence:
    """Follows, for one camera, who stands in its zones: each with the middle of its box's lower side."""

    def __init__(self) -> None:
        self._zones: tuple[Zone, ...] = ()
        self._stays: dict[tuple[str, int], _Stay] = {}
        self._entered: dict[str, Counter[str]] = {}
        self._at = 0.0

    @property
    def counts(self) -> tuple[ZoneCount, ...]:
        """Of every zone."""
        inside: dict[str, Counter[str]] = {zone.name: Counter() for zone in self._zones}
        for (zone, _), stay in self._stays.items():
            if stay.inside and self._at - stay.seen_at <= UNSEEN_SECONDS:
                inside[zone][stay.name] += 1
        return tuple(ZoneCount(zone, dict(inside[zone.name]), dict(self._entered[zone.name])) for zone in self._zones)

    def watch(self, zones: Sequence[Zone]) -> list[Move]:
        """Watch these zones from now on; return who is thereby in none that is watched any more."""
        if tuple(zones) == self._zones:
            return []
        changed = {zone.name for zone in self._zones if zone not in zones}
        gone = self._end({key: "redrawn" for key in self._stays if key[0] in changed})
        self._zones = tuple(zones)
        self._entered = {
            zone.name: Counter() if zone.name in changed else self._entered.get(zone.name, Counter()) for zone in zones
        }
        return gone

    def update(self, result: InstanceResult, at: float, followed: Collection[int]) -> list[Move]:
        """Return who came and who went. `at`: the frame's time; `followed`: the ids that may still come."""
        self._at = at
        moves = self._end({key: "lost" for key in self._stays if key[1] not in followed})
        places = feet(result)
        for zone in self._zones:
            inside = zone.holds(places).tolist()
            for number, name in enumerate(result.ids):
                if not name:
                    continue
                stay = self._stays.get((zone.name, name))
                if stay is None:
                    if not inside[number]:
                        continue
                    stay = _Stay(result.contract.names[result.labels[number]], at, at)
                    self._stays[zone.name, name] = stay
                stay.seen_at = at
                if (move := self._judge(zone.name, name, stay, inside[number], at)) is not None:
                    moves.append(move)
        return moves

    def reset(self, reason: str) -> list[Move]:
        """Nothing is known any more: return who was inside."""
        return self._end(dict.fromkeys(self._stays, reason))

    def _judge(self, zone: str, name: int, stay: _Stay, inside: bool, at: float) -> Move | None:
        if inside == stay.inside:
            stay.otherwise = None
            if not inside:
                del self._stays[zone, name]
            return None
        if stay.otherwise is None:
            stay.otherwise = at
        if at - stay.otherwise < SETTLE_SECONDS:
            return None
        if inside:
            stay.inside, stay.since, stay.otherwise = True, stay.otherwise, None
            self._entered[zone][stay.name] += 1
            return Move(zone, name, stay.name, entered=True)
        del self._stays[zone, name]
        return Move(zone, name, stay.name, entered=False, seconds=stay.otherwise - stay.since)

    def _end(self, reasons: Mapping[tuple[str, int], str]) -> list[Move]:
        ended = [(key, self._stays.pop(key), reason) for key, reason in reasons.items()]
        return [
            Move(zone, name, stay.name, entered=False, seconds=stay.seen_at - stay.since, reason=reason)
            for (zone, name), stay, reason in ended
            if stay.inside
        ]
