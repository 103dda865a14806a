"""Masks that lie elsewhere than their pictures: moved, mirrored, turned, or not turned with them.

One mask proves nothing, many do. A move or turn is told of when it gains enough on enough pictures, and when it does so
for each picture's own mask: where the lower half of all pictures is full of texture, any mask fits better upside down.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from edgeseg.data.doctor.alignment import REACH, TURNS_BACK, Alignment, Turn, move, own_gain
from edgeseg.data.doctor.findings import Finding, Number
from edgeseg.data.doctor.look import Look
from edgeseg.data.doctor.seen import Seen, plural

MIN_PICTURES, MIN_GAIN, MIN_T = 8, 0.03, 6.0
"""What moving or turning the masks must gain to be told: on how many pictures, how much in the score (see
`alignment`), and how many standard errors of it."""
STRONG_GAIN, STRONG_SHARE = 0.06, 0.1
"""Or how much on which share of the pictures, where a part of the masks is turned. Measured on sound sets: so much on 1
of CamVid's 468 pictures, on none of Penn-Fudan's, COCO's and the built-in ones; on turned ones 0.13 in the mean."""
_MIN_MOVE = 2  # thumbnail pixels; less is how people draw
_CONFIRMED_ON = 40  # pictures that are read once more to be sure
_BY_EXIF = {
    2: "mirrored left to right",
    3: "turned by 180°",
    4: "upside down",
    6: "turned by 90° to the left",
    8: "turned by 90° to the right",
}
"""What a mask of an unturned picture looks like beside the upright one, by EXIF's orientation."""

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]


def misplaced(seen: Seen) -> Iterator[Finding]:
    """Find splits whose masks fit their pictures better once moved, mirrored or turned."""
    for split, positions in seen.good.items():
        upright = [k for k in positions if _orientation(seen.looks[k]) == 1]
        scored = [(k, score) for k in upright if (score := seen.looks[k].alignment) is not None]
        if len(scored) >= MIN_PICTURES:
            yield from _misplaced(seen, split, [k for k, _ in scored], [score for _, score in scored])


def _misplaced(seen: Seen, split: str, positions: list[int], scores: list[Alignment]) -> Iterator[Finding]:
    own = np.array([score.score for score in scores])
    names = set.intersection(*(set(score.turned) for score in scores))
    gains = {name: np.array([score.turned[name] for score in scores]) - own for name in sorted(names)}
    turn = max(gains, key=lambda name: float(np.maximum(gains[name], 0).sum()))
    telling = _telling(gains[turn])
    found = tuple(positions[int(k)] for k in telling)
    if len(found) and _is_confirmed(seen, found, TURNS_BACK[turn]):
        files = tuple(seen.mask_path(k) for k in found)
        text = f"{len(found)} of {plural(len(own), 'mask')} look {turn}: {_told(own[telling], gains[turn][telling])}"
        yield Finding("mask-turned", text, split, files, found, numbers=_numbers(gains[turn][telling]))
        return
    down, right, gain = _best_move(scores, own)
    moved = significant(gain) and max(abs(down), abs(right)) >= _MIN_MOVE
    if moved and _is_confirmed(seen, positions, lambda border: move(border, down, right)):
        text = f"the masks fit better moved by {_move(down, right, scores)}: {_told(own, gain)}"
        yield Finding("mask-shifted", text, split, (), tuple(positions[:4]), numbers=_numbers(gain))


def turned_by_exif(seen: Seen) -> Iterator[Finding]:
    """Find tagged pictures whose mask has the upright size, but fits the unturned picture."""
    for split, positions in seen.good.items():
        by_turn: dict[str, list[tuple[int, float]]] = {}
        for k in positions:
            score, name = seen.looks[k].alignment, _BY_EXIF.get(_orientation(seen.looks[k]), "")
            if score is not None and name in score.turned:
                by_turn.setdefault(name, []).append((k, score.turned[name] - score.score))
        for name, gains in by_turn.items():
            values = np.array([gain for _, gain in gains])
            telling = _telling(values)  # others may have been turned as they should
            if len(telling) and _is_confirmed(seen, [gains[place][0] for place in telling], TURNS_BACK[name]):
                better = telling[values[telling] > 0]
                found = tuple(gains[place][0] for place in better)
                files = tuple(seen.mask_path(k) for k in found)
                text = f"{plural(len(found), 'mask')} of tagged pictures fit them better unturned"
                yield Finding("exif-orientation", text, split, files, found, numbers=_numbers(values[better]))


def _telling(gain: Floats) -> Indices:
    """Return which pictures gain so much that it tells: none if they are few, all if all gain a little."""
    found = np.flatnonzero(gain >= STRONG_GAIN)
    if len(found) >= max(MIN_PICTURES, STRONG_SHARE * len(gain)):
        return found
    return np.arange(len(gain) if significant(gain) else 0)


def significant(gain: Floats) -> bool:
    """Whether a gain is large and sure."""
    if len(gain) < MIN_PICTURES / 2 or gain.mean() < MIN_GAIN:
        return False
    error = float(gain.std(ddof=1)) / len(gain) ** 0.5
    return bool(gain.mean() >= MIN_T * error)


def _is_confirmed(seen: Seen, positions: Sequence[int], undo: Turn) -> bool:
    """Whether each picture's own mask gains by `undo` more than the masks of others do on it."""
    step = max(1, len(positions) // _CONFIRMED_ON)
    samples = [seen.looks[k].item.read() for k in positions[::step]]
    return significant(own_gain([(sample.image, sample.mask) for sample in samples], undo))


def _best_move(scores: Sequence[Alignment], own: Floats) -> tuple[int, int, Floats]:
    """Return the move that is best on half of the pictures, and what it gains on each of the others."""
    maps = np.stack([score.moved for score in scores]).astype(np.float64)
    row, column = np.unravel_index(int(maps[::2].mean(0).argmax()), maps.shape[1:])
    return int(row) - REACH, int(column) - REACH, (maps[:, row, column] - own)[1::2]


def _move(down: int, right: int, scores: Sequence[Alignment]) -> str:
    """Say a move in pixels of the pictures."""
    y, x = np.median([score.pixel for score in scores], axis=0)
    parts = [
        f"about {round(abs(step) * size)} px {one if step > 0 else other}"
        for step, size, one, other in ((right, x, "to the right", "to the left"), (down, y, "down", "up"))
        if step
    ]
    return " and ".join(parts)


def _orientation(look: Look) -> int:
    return 1 if look.encoding is None else look.encoding.orientation


def _told(own: Floats, gain: Floats) -> str:
    return f"score {own.mean():.2f}, so {own.mean() + gain.mean():.2f}, on {plural(len(own), 'picture')}"


def _numbers(gain: Floats) -> dict[str, Number]:
    return {"pictures": len(gain), "gain": round(float(gain.mean()), 4)}
