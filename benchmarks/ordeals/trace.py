"""What a subject was seen to do: the lines of its driver, what it printed, and its end, on one clock."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from ordeals.drivers.wire import THUMB_HEIGHT, THUMB_WIDTH
from tests.servers.scene import read

_FAULT = re.compile("error|exception|fail|refused|false|no picture", re.IGNORECASE)
_BLACK = 16
"""No pixel of a black picture is brighter; H.264's black is not quite 0."""


@dataclass(frozen=True)
class Shown:
    """A picture that was given out."""

    at: float
    source: int
    made_at: float | None
    """When the camera made it, read out of its pixels; None where they say nothing."""
    black: bool = False
    mask_lag: float = 0.0
    """How much older the picture was that its mask was made of, in seconds."""

    @property
    def age(self) -> float | None:
        """Seconds from its making to its being given out."""
        return None if self.made_at is None else self.at - self.made_at


@dataclass(frozen=True)
class Said:
    """Something a program or a person could have noticed a fault by."""

    at: float
    text: str
    how: Literal["told", "printed"] = "told"
    """To its caller, or on stderr."""
    source: int | None = None


@dataclass(frozen=True)
class Ended:
    """The end of its process."""

    at: float
    code: int


@dataclass
class Trace:
    """Everything, in the order in which it came."""

    started_at: float | None = None
    """When the cameras were opened; what a subject loads before that does not count."""
    versions: dict[str, str] = field(default_factory=dict)
    viewer: str | None = None
    done_at: float | None = None
    """When the subject returned by itself."""
    shown: list[Shown] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    ended: Ended | None = None

    def add(self, line: str) -> None:
        """Take a line of the driver. Raises ValueError for what is none."""
        try:
            raw = json.loads(line)
            kind, at = raw["kind"], float(raw["at"])
            if kind == "shown":
                self.shown.append(_shown(at, int(raw["source"]), raw["thumb"], float(raw["mask_lag"])))
            elif kind == "told":
                self.said.append(Said(at, str(raw["text"]), "told", raw["source"]))
            elif kind == "start":
                self.started_at, self.versions = at, dict(raw["versions"])
            elif kind == "viewer":
                self.viewer = str(raw["url"])
            elif kind == "done":
                self.done_at = at
            else:
                raise ValueError(f"no such kind: {kind}")
        except (KeyError, TypeError, ValueError, binascii.Error) as error:
            raise ValueError(f"a driver wrote {line[:80]!r}, which is not its protocol: {error!r}") from error

    @property
    def over_at(self) -> float | None:
        """When it came to its end, by itself or with its process; None: it did not."""
        if self.done_at is not None:
            return self.done_at
        return None if self.ended is None else self.ended.at

    def of(self, source: int) -> list[Shown]:
        """Return the pictures of one camera."""
        return of(self.shown, source)


def of(shown: Sequence[Shown], source: int) -> list[Shown]:
    """Return the pictures of one camera."""
    return [one for one in list(shown) if one.source == source]


def last_words(trace: Trace) -> str:
    """Return the last line since the cameras were opened that tells of a fault, else the last one.

    Of a traceback that is the exception. What the caller was told is preferred: what is printed may be wrapped.
    """
    said = [one for one in trace.said if one.at >= (trace.started_at or 0.0) and one.text.strip()]
    faults = [one for one in said if _FAULT.search(one.text)]
    told = [one for one in faults if one.how == "told"]
    chosen = told or faults or said
    return chosen[-1].text.strip() if chosen else ""


def _shown(at: float, source: int, thumb: str, mask_lag: float) -> Shown:
    data = np.frombuffer(base64.b64decode(thumb, validate=True), np.uint8).reshape(THUMB_HEIGHT, THUMB_WIDTH)
    stamp = read(data)
    return Shown(at, source, stamp.made_at if stamp else None, bool(data.max() <= _BLACK), mask_lag)
