"""Which pictures are frames of one video, told by their names and proved by their looks.

Names alone do not tell: pictures of a collection are numbered, too. Pictures whose names differ in one number are a
clip where those with neighbouring numbers are much more alike than others of the same name.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from os.path import commonpath
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgeseg.data.items import Item
from edgeseg.data.likeness import Fingerprint, correlation, usual_distance

_NUMBER = re.compile(r"(\d+)")
_COPY = re.compile(r"\.rf\.[0-9a-f]+$")
"""What Roboflow ends names with: it tells copies apart, not frames."""
_MIN_STEPS = 5
_CLOSER, _CLOSER_IN_SHORT = 0.5, 0.8
_OTHER_VIEW = 0.3  # something that passes by close changes less
_GAP = 5


@dataclass(frozen=True)
class Clip:
    """Frames of a video."""

    name: str
    """What their names have in common."""
    frames: tuple[int, ...]
    """Positions in the list of pictures, in the order of their numbers."""
    numbers: tuple[int, ...]
    distances: tuple[float, ...]
    """How unlike each frame and the next are: 1 less their correlation."""
    usual: float
    """How unlike pictures are that have nothing to do with each other, in the median."""

    def scenes(self) -> list[tuple[int, ...]]:
        """Return the clip in pieces: a new one begins after a gap in the numbers, or where the view changes."""
        steps = np.diff(self.numbers)
        limit = _GAP * float(np.median(steps))
        pieces, current = [], [self.frames[0]]
        for frame, step, distance in zip(self.frames[1:], steps, self.distances, strict=True):
            if step > limit or distance > self.usual:
                pieces.append(tuple(current))
                current = []
            current.append(frame)
        return [*pieces, tuple(current)]


def name_parts(items: Sequence[Item]) -> list[tuple[str, int] | None]:
    """Return, for each picture, its name without the number of its frame, and that number; None where there is none.

    It is the last number in which names that are otherwise equal differ: what follows it may be `_leftImg8bit`, too.
    Folders below the split's own count as a part of the name.
    """
    bases = _bases(items)
    split_up = []
    for item in items:
        folder = "" if item.pair is None else f"{Path(item.pair.image).parent.relative_to(bases[item.split])}/"
        split_up.append(_NUMBER.split(folder.removeprefix("./") + _COPY.sub("", item.name)))
    alike: dict[tuple[str, ...], list[int]] = {}
    for position, parts in enumerate(split_up):
        alike.setdefault(tuple(parts[::2]), []).append(position)
    found: list[tuple[str, int] | None] = [None] * len(items)
    for positions in alike.values():
        place = _frame_number([split_up[position] for position in positions])
        if place is None:
            continue
        for position in positions:
            parts = split_up[position]
            found[position] = ("".join([*parts[:place], "*", *parts[place + 1 :]]), int(parts[place]))
    return found


def _frame_number(names: Sequence[Sequence[str]]) -> int | None:
    """Return which part of names that only numbers tell apart is a frame's: the last in which most of them differ.

    Where there is no such part, the last number; None where there is none. Numbers are the parts at odd places.
    """
    places = range(len(names[0]) - 2, 0, -2)
    for place in places:
        rest = Counter((*parts[:place], *parts[place + 1 :]) for parts in names)
        if 2 * sum(count for count in rest.values() if count > 1) > len(names):
            return place
    return next(iter(places), None)


def find_clips(items: Sequence[Item], prints: Mapping[int, Fingerprint]) -> list[Clip]:
    """Return the clips among pictures; `prints` are the fingerprints of those that could be read."""
    named: dict[str, list[tuple[int, int]]] = {}
    for position, parts in enumerate(name_parts(items)):
        if parts is not None and position in prints:
            named.setdefault(parts[0], []).append((parts[1], position))
    anywhere = usual_distance(list(prints.values()))
    clips = (_clip(name, sorted(found), prints, anywhere) for name, found in named.items() if len(found) > _MIN_STEPS)
    return [clip for clip in clips if clip is not None]


def _clip(name: str, found: list[tuple[int, int]], prints: Mapping[int, Fingerprint], anywhere: float) -> Clip | None:
    """Return the clip if neighbours are much more alike than other pictures of the name.

    Those, and not all pictures, are the measure: a name may stand for a kind of place.
    """
    numbers, frames = zip(*found, strict=True)
    steps = _distances(list(pairwise(frames)), prints)
    usual, typical = usual_distance([prints[k] for k in frames]), float(np.median(steps))
    # In a short clip no two frames are far apart: there, pictures of other names help to tell.
    if typical < _CLOSER * usual or (typical < _CLOSER * anywhere and typical < _CLOSER_IN_SHORT * usual):
        return Clip(name, frames, numbers, tuple(steps.tolist()), max(usual, anywhere, _OTHER_VIEW))
    return None


def _distances(pairs: Sequence[tuple[int, int]], prints: Mapping[int, Fingerprint]) -> npt.NDArray[np.float64]:
    return np.array([1 - correlation(prints[a], prints[b]) for a, b in pairs])


def _bases(items: Sequence[Item]) -> dict[str, Path]:
    """Return the folder that all pictures of a split are under."""
    folders: dict[str, set[str]] = {}
    for item in items:
        if item.pair is not None:
            folders.setdefault(item.split, set()).add(str(item.pair.image.parent))
    return {split: Path(commonpath(found)) for split, found in folders.items()}
