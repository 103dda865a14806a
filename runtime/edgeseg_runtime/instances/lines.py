"""Lines on the picture, and who goes over them."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.instances.places import feet

if TYPE_CHECKING:
    from edgeseg_runtime.instances.result import InstanceResult

Point: TypeAlias = "tuple[float, float]"
Direction: TypeAlias = Literal["in", "out"]
Points = npt.NDArray[np.float64]

MARGIN = 1 / 20
"""Of an object's height: as far as a detector's boxes tremble (see `motion.MEASUREMENT`). An object has changed sides
when it is farther than this beyond the line, so that one that stands on it is not counted again and again."""
MOST_LINES = 64

_NUMBER = r"[-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?"
_LINE = re.compile(rf"(?P<name>[^=]+)=(?P<ends>\s*{_NUMBER}\s*(?:,\s*{_NUMBER}\s*){{3}})")


@dataclass(frozen=True)
class CountLine:
    """A line from one point to another. Raises ConfigError for one without a length or a name.

    Who stands at its start and looks at its end has its left hand on the side from which objects go `in`: a line drawn
    from left to right counts what goes down the picture as in. Its ends the other way round count the other way round.
    """

    name: str
    start: Point
    """(x, y), each 0..1 of the frame's width and height, from its upper left corner."""
    end: Point

    def __post_init__(self) -> None:
        if not self.name.strip() or not self.name.isprintable() or len(self.name) > 100:
            raise ConfigError(f"a line needs a printable name of 1 to 100 characters, got {self.name[:120]!r}")
        for x, y in (self.start, self.end):
            if not (math.isfinite(x) and math.isfinite(y) and 0 <= x <= 1 and 0 <= y <= 1):
                raise ConfigError(f"line {self.name!r} has the end ({x:g}, {y:g}); x and y must be in 0..1")
        if self.start == self.end:
            raise ConfigError(f"line {self.name!r} begins and ends at {self.start}; nothing can cross it")

    @classmethod
    def parse(cls, text: str) -> CountLine:
        """Read `NAME=x0,y0,x1,y1`. Raises ConfigError."""
        found = _LINE.fullmatch(text)
        try:
            x0, y0, x1, y1 = map(float, found["ends"].split(",") if found else [])
        except ValueError:
            raise ConfigError(
                f"a line is NAME=x0,y0,x1,y1 with x and y in 0..1, such as door=0.1,0.5,0.9,0.5, got {text[:120]!r}"
            ) from None
        assert found is not None
        return cls(found["name"], (x0, y0), (x1, y1))


def check_lines(lines: Sequence[CountLine]) -> None:
    """Raise ConfigError where two lines have one name, or there are too many."""
    names = [line.name for line in lines]
    if double := next((name for name in names if names.count(name) > 1), None):
        raise ConfigError(f"two lines are named {double!r}; give each one a name of its own")
    if len(lines) > MOST_LINES:
        raise ConfigError(f"there are {len(lines)} lines; at most {MOST_LINES} are allowed")


@dataclass(frozen=True)
class Crossing:
    """An object went over a line."""

    line: str
    direction: Direction
    id: int
    label: int


@dataclass(frozen=True)
class LineCount:
    """How many objects have gone over a line so far, by class."""

    line: CountLine
    into: Mapping[str, int]
    out: Mapping[str, int]

    def as_dict(self) -> dict[str, dict[str, int]]:
        """Return plain JSON values."""
        return {"in": dict(self.into), "out": dict(self.out)}


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
