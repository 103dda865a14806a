"""Who goes over a line."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, TypeAlias

from edgeseg_runtime.instances.counts import LineCount
from edgeseg_runtime.instances.lines import CountLine, Point
from edgeseg_runtime.instances.places import feet
from edgeseg_runtime.instances.result import InstanceResult

Direction: TypeAlias = Literal["in", "out"]

MARGIN = 1 / 20
"""Of an object's height: as far as a detector's boxes tremble (see `motion.MEASUREMENT`). An object has changed sides
when it is farther than this beyond the line, so that one that stands on it is not counted again and again."""


@dataclass(frozen=True)
class Crossing:
    """An object went over a line."""

    line: str
    direction: Direction
    id: int
    label: int


@dataclass
class _Walk:
    """Of one object at one line."""

    place: Point
    side: int
    """Where it is known to be: -1 or 1, 1 being where `in` leads to."""
    over: int = 0
    """Times it went over the line to side 1, less those to side -1, since it was known to be on `side`."""


class LineCounter:
    """Counts, for one camera, the objects that go over one line, each once for every time it does."""

    def __init__(self, line: CountLine) -> None:
        self.line = line
        self._walks: dict[int, _Walk] = {}
        self._counts: dict[Direction, Counter[str]] = {"in": Counter(), "out": Counter()}

    @property
    def count(self) -> LineCount:
        """All crossings so far."""
        return LineCount(self.line, dict(self._counts["in"]), dict(self._counts["out"]))

    def update(self, result: InstanceResult, followed: Collection[int]) -> list[Crossing]:
        """Return who went over the line since the last frame. `followed`: the ids that may still come."""
        self._walks = {name: walk for name, walk in self._walks.items() if name in followed}
        places = feet(result)
        heights = (result.boxes[:, 3] - result.boxes[:, 1]).tolist()
        found = []
        for number, name in enumerate(result.ids):
            if not name:
                continue
            margin = MARGIN * heights[number]
            place = float(places[number, 0]), float(places[number, 1])
            if (direction := self._step(name, place, margin, (result.width, result.height))) is not None:
                label = int(result.labels[number])
                self._counts[direction][result.contract.names[label]] += 1
                found.append(Crossing(self.line.name, direction, name, label))
        return found

    def _step(self, name: int, place: Point, margin: float, size: tuple[int, int]) -> Direction | None:
        distance = self._distance(place, size)
        walk = self._walks.get(name)
        if walk is None:
            self._walks[name] = _Walk(place, _side(distance))
            return None
        before = self._distance(walk.place, size)
        if _side(before) != _side(distance) and self._between_ends(walk.place, place, before, distance):
            walk.over += _side(distance)
        walk.place = place
        if abs(distance) < margin:
            return None
        crossed = _side(distance) != walk.side and walk.over * _side(distance) > 0
        walk.side, walk.over = _side(distance), 0
        if not crossed:
            return None
        return "in" if walk.side > 0 else "out"

    def _distance(self, place: Point, size: tuple[int, int]) -> float:
        """Return how far a place is from the line made endless, in pixels, above 0 on side 1."""
        (x0, y0), (x1, y1) = self.line.start, self.line.end
        along, down = (x1 - x0) * size[0], (y1 - y0) * size[1]
        return (along * (place[1] - y0) * size[1] - down * (place[0] - x0) * size[0]) / math.hypot(along, down)

    def _between_ends(self, place: Point, other: Point, before: float, after: float) -> bool:
        """Whether the way from one place to another on the other side meets the line between its ends."""
        share = before / (before - after)
        (x0, y0), (x1, y1) = self.line.start, self.line.end
        x, y = place[0] + share * (other[0] - place[0]), place[1] + share * (other[1] - place[1])
        along = ((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / ((x1 - x0) ** 2 + (y1 - y0) ** 2)
        return 0 <= along <= 1


def _side(distance: float) -> int:
    return 1 if distance >= 0 else -1
