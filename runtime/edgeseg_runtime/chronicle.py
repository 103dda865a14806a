"""What happens in a recording: in its zones, at its lines, with its objects.

Lanes work on frames side by side and in any order. Objects are followed in the frames' order, zones are measured in the
lanes; both are told in the frames' order, each event with the number and the time of its frame.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

from edgeseg_runtime.events import Event, Events
from edgeseg_runtime.instances.counts import Counts
from edgeseg_runtime.instances.following import Follower, Following
from edgeseg_runtime.result import Result
from edgeseg_runtime.sinks.base import Shot, Sink
from edgeseg_runtime.sinks.lines import LineFile
from edgeseg_runtime.sources.base import Frame
from edgeseg_runtime.telemetry.encoding import event_json
from edgeseg_runtime.zones.areas import ZoneAreas, ZoneShares
from edgeseg_runtime.zones.polygon import Zone
from edgeseg_runtime.zones.rules import ZoneEvents, ZoneRule

PICTURES_A_SECOND = 25.0
"""What pictures are taken for, which have no time of their own: how long something stays must be told somehow."""


class Chronicle(Sink[ZoneShares]):
    """Watches the zones of a recording, follows its objects, and writes events as JSON lines.

    The events are `zone.enter` and `zone.leave` (see `zones.rules`) and, where objects are followed, `object.entered`,
    `object.left` and `line.crossed` (see `instances.counting`), each with `frame`, the frame's number from 0, and
    `time`, its seconds into the recording, null for pictures. At the end whatever is inside leaves.

    A stream that follows objects is to be given `follow`, too.
    """

    name = "events"

    def __init__(
        self,
        source: str,
        zones: Sequence[Zone] = (),
        following: Following | None = None,
        lines: LineFile | None = None,
        rule: ZoneRule | None = None,
    ) -> None:
        """`source` is what events call the recording; `lines` is closed with the chronicle."""
        self._lines = lines
        self._areas = ZoneAreas(zones)
        self._measured: WeakKeyDictionary[Shot, ZoneShares] = WeakKeyDictionary()
        self._totals: dict[str, dict[str, float]] = {zone.name: {} for zone in zones}
        self._frames = 0
        self._of_zones, self._of_objects = _Held(), _Held()
        self._presence = ZoneEvents(self._of_zones, source, rule)
        self._follower: Follower | None = None
        self.counts: Counts | None = None
        """What was counted of objects up to the last frame; None where none are followed."""
        if following is not None:
            self._follower = Follower(source, self._of_objects, replace(following, zones=lambda _: zones))
            self.counts = self._follower.counts

    @property
    def areas(self) -> ZoneShares:
        """The mean share of each zone (0..1) that each class covered in the frames so far."""
        frames = max(1, self._frames)
        return {
            zone: {name: round(total / frames, 6) for name, total in totals.items()}
            for zone, totals in self._totals.items()
        }

    def follow(self, result: Result, frame: Frame) -> Result:
        """Return the result with what is known of its objects over time. To be called in the frames' order."""
        if self._follower is None:
            return result
        self._of_objects.stamp = _Stamp.of(frame)
        followed = self._follower(result, _moment(frame))
        self.counts = self._follower.counts
        return followed

    def shares(self, shot: Shot) -> ZoneShares:
        """Return how much of each zone each class covers; a shot is measured once, however many ask."""
        if not self._totals:  # the mask of objects is made when it is asked for, which takes time
            return {}
        measured = self._measured.get(shot)
        if measured is None:
            measured = self._areas.shares(shot.result.mask, shot.result.contract.names)
            self._measured[shot] = measured
        return measured

    def encode(self, shot: Shot) -> ZoneShares:
        """Measure the zones."""
        return self.shares(shot)

    def write(self, shot: Shot, encoded: ZoneShares) -> None:
        """Tell what happened up to this frame. Raises OutputError."""
        self._frames += 1
        for zone, classes in encoded.items():
            totals = self._totals[zone]
            for name, share in classes.items():
                totals[name] = totals.get(name, 0.0) + share
        self._of_zones.stamp = _Stamp.of(shot.frame)
        self._presence.update(encoded, _moment(shot.frame))
        self._tell(shot.frame.index)

    def close(self) -> None:
        """Let everything leave, tell what was not told yet, and close the file. Raises OutputError."""
        self._presence.reset("ended")
        if self._follower is not None:
            self._follower.close()
        try:
            self._tell(None)
        finally:
            if self._lines is not None:
                self._lines.close()

    def _tell(self, index: int | None) -> None:
        """Write the events of the frames up to `index`, of all if None; objects are followed ahead of that."""
        for event in [*self._of_objects.taken(index), *self._of_zones.taken(index)]:
            if self._lines is not None and self._lines.wanted:
                self._lines.put(event_json(event))
                self.wanted = self._lines.wanted


@dataclass(frozen=True)
class _Stamp:
    """Which frame an event is about, without the picture."""

    index: int
    position: float | None

    @classmethod
    def of(cls, frame: Frame) -> _Stamp:
        return cls(frame.index, None if frame.position is None else round(frame.position, 4))


class _Held(Events):
    """Keeps what is published until it is its frame's turn."""

    def __init__(self) -> None:
        super().__init__()
        self.stamp = _Stamp(0, None)
        """Of the frame that events are about from now on."""
        self._events: deque[tuple[int, Event]] = deque()

    def publish(self, kind: str, source: str = "", **data: Any) -> None:
        """Keep an event."""
        about = {"frame": self.stamp.index, "time": self.stamp.position}
        self._events.append((self.stamp.index, Event(kind, source, {**about, **data})))

    def taken(self, index: int | None) -> Iterator[Event]:
        """Give away the events of the frames up to `index`, of all if None."""
        while self._events and (index is None or self._events[0][0] <= index):
            yield self._events.popleft()[1]


def _moment(frame: Frame) -> float:
    """Return the seconds into the recording."""
    return frame.index / PICTURES_A_SECOND if frame.position is None else frame.position
