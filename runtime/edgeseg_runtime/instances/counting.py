"""What is counted of a camera's objects, and told when it happens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from edgeseg_runtime.events import Events
from edgeseg_runtime.instances.counts import Counts
from edgeseg_runtime.instances.crossings import LineCounter
from edgeseg_runtime.instances.lines import CountLine, check_lines
from edgeseg_runtime.instances.presence import Move, ZonePresence
from edgeseg_runtime.instances.result import InstanceResult
from edgeseg_runtime.zones.polygon import Zone


class ObjectCounter:
    """Counts for one camera, and publishes `line.crossed`, `object.entered` and `object.left`.

    `line.crossed` {line, direction, id, class}; `object.entered` {zone, id, class}; `object.left` {zone, id, class,
    seconds}, with `reason` where the object was not seen to go: it is lost, nothing was seen for long (stale), the zone
    was redrawn, or the stream has ended. Every object that entered leaves.

    Raises ConfigError for two lines of one name.
    """

    def __init__(self, camera: str, events: Events, lines: Sequence[CountLine] = ()) -> None:
        check_lines(lines)
        self._camera, self._events = camera, events
        self._lines = [LineCounter(line) for line in lines]
        self._presence = ZonePresence()
        self.counts = Counts(lines=tuple(counter.count for counter in self._lines))

    def update(self, result: InstanceResult, at: float, followed: Collection[int], zones: Sequence[Zone]) -> Counts:
        """Count a frame that was taken at `at`, seconds. `followed`: ids that may still come."""
        self._tell_moves(self._presence.watch(zones))
        for counter in self._lines:
            for crossing in counter.update(result, followed):
                name = result.contract.names[crossing.label]
                what = {"line": crossing.line, "direction": crossing.direction, "id": crossing.id, "class": name}
                self._events.publish("line.crossed", self._camera, **what)
        self._tell_moves(self._presence.update(result, at, followed))
        objects = Counter(result.contract.names[label] for label in result.labels)
        self._count(dict(objects))
        return self.counts

    def reset(self, reason: str) -> None:
        """Nothing is known any more: whoever is inside a zone leaves, with the reason."""
        self._tell_moves(self._presence.reset(reason))
        self._count({})

    def _count(self, objects: Mapping[str, int]) -> None:
        self.counts = Counts(objects, tuple(counter.count for counter in self._lines), self._presence.counts)

    def _tell_moves(self, moves: Iterable[Move]) -> None:
        for move in moves:
            what: dict[str, Any] = {"zone": move.zone, "id": move.id, "class": move.name}
            if move.seconds is not None:
                what["seconds"] = round(move.seconds, 3)
            if move.reason is not None:
                what["reason"] = move.reason
            self._events.publish("object.entered" if move.entered else "object.left", self._camera, **what)
