"""Lines on the picture."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from edgeseg_runtime.errors import ConfigError

Point: TypeAlias = "tuple[float, float]"

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
