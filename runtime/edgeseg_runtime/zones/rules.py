"""When something enters a zone, and when it has left."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.events import Events
from edgeseg_runtime.zones.areas import ZoneShares


@dataclass(frozen=True)
class ZoneRule:
    """What counts as being in a zone. Raises ConfigError for values outside what is allowed."""

    enter: float = 0.05
    """Share of the zone that a class must cover to enter."""
    leave: float = 0.025
    """Share below which it leaves; less than `enter`, so that a class at the threshold does not come and go."""
    seconds: float = 0.5
    """How long it must stay above or below before it is told, by the time at which the masks' frames were captured."""
    classes: tuple[str, ...] | None = None
    """The classes to tell of; None: all of the model's."""

    def __post_init__(self) -> None:
        if not 0 < self.leave <= self.enter <= 1:
            raise ConfigError(f"zones need 0 < leave <= enter <= 1, got leave {self.leave:g} and enter {self.enter:g}")
        if not 0 <= self.seconds <= 3600:
            raise ConfigError(f"a zone's seconds must be in 0..3600, got {self.seconds:g}")

    def watches(self, name: str) -> bool:
        """Whether the class is one to tell of."""
        return self.classes is None or name in self.classes


@dataclass
class _Presence:
    inside: bool = False
    since: float | None = None
    """From when on the masks say otherwise; None while they do not."""


class ZoneEvents:
    """Publishes `zone.enter` and `zone.leave` with zone, class and share, for one camera. Used by one thread.

    Every enter is followed by its leave: with `reason` "stale" where nothing is known any more (no mask for a while, a
    model without that class, zones redrawn) or "ended" with the stream, and then without a share. What was about to
    enter begins anew.
    """

    def __init__(self, events: Events, camera: str = "", rule: ZoneRule | None = None) -> None:
        self._events, self._camera, self._rule = events, camera, rule or ZoneRule()
        self._places: dict[tuple[str, str], _Presence] = {}

    @property
    def inside(self) -> Collection[tuple[str, str]]:
        """(zone, class) of everything that is in a zone now."""
        return [place for place, presence in self._places.items() if presence.inside]

    def update(self, shares: ZoneShares, masked_at: float) -> None:
        """Take the shares of a new mask, made from a frame of `masked_at`: seconds of any clock that runs forwards."""
        seen = {(zone, name): share for zone, classes in shares.items() for name, share in classes.items()}
        for place in [place for place in self._places if place not in seen]:
            self._forget(place, "stale")
        for place, share in seen.items():
            if self._rule.watches(place[1]):
                self._judge(place, share, masked_at)

    def reset(self, reason: str = "stale") -> None:
        """Nothing is known any more: what was inside leaves, with the reason."""
        for place in list(self._places):
            self._forget(place, reason)

    def _judge(self, place: tuple[str, str], share: float, at: float) -> None:
        presence = self._places.setdefault(place, _Presence())
        otherwise = share < self._rule.leave if presence.inside else share >= self._rule.enter
        if not otherwise:
            presence.since = None
            return
        if presence.since is None:
            presence.since = at
        if at - presence.since >= self._rule.seconds:
            presence.inside, presence.since = not presence.inside, None
            self._publish("zone.enter" if presence.inside else "zone.leave", place, {"share": round(share, 6)})

    def _forget(self, place: tuple[str, str], reason: str) -> None:
        if self._places.pop(place).inside:
            self._publish("zone.leave", place, {"reason": reason})

    def _publish(self, kind: str, place: tuple[str, str], data: dict[str, float | str]) -> None:
        zone, name = place
        self._events.publish(kind, self._camera, **{"zone": zone, "class": name, **data})
