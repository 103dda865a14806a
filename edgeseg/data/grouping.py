"""Which pictures belong together, so that none of a group may be in train and another in val."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from edgeseg.data.clips import find_clips, name_parts
from edgeseg.data.items import Item
from edgeseg.data.likeness import Fingerprint, Groups, twins
from edgeseg_runtime.errors import ConfigError

Positions = list[list[int]]
Prints = Mapping[int, Fingerprint]


def group_pictures(items: Sequence[Item], prints: Prints, by: str) -> Positions:
    """Return groups of positions in `items`, of those that `prints` has a fingerprint of.

    `by` is a name in GROUPINGS, or a regular expression that is searched in each path: pictures for which it finds
    the same text (or the same first group) belong together; those in which it finds nothing stand alone.

    Raises ConfigError for an expression that cannot be read or finds nothing anywhere.
    """
    grouping = GROUPINGS.get(by)
    return grouping(items, prints) if grouping is not None else _by_expression(items, prints, by)


def _auto(items: Sequence[Item], prints: Prints) -> Positions:
    return _joined(items, prints, [*_scenes(items, prints), *_alike(items, prints)])


def _scenes(items: Sequence[Item], prints: Prints) -> Positions:
    """Return runs of frames that follow each other in number and look alike."""
    return [list(scene) for clip in find_clips(items, prints) for scene in clip.scenes()]


def _alike(_items: Sequence[Item], prints: Prints) -> Positions:
    """Return each picture with those that are nearly the same, or the very same."""
    positions = list(prints)
    groups = [[positions[i], *(positions[int(j)] for j in found)] for i, found in twins(list(prints.values()))]
    same: dict[bytes, list[int]] = {}
    for position, each in prints.items():
        same.setdefault(each.digest, []).append(position)
    return [*groups, *same.values()]


def _joined(items: Sequence[Item], prints: Prints, parts: Positions) -> Positions:
    """Return the groups that arise when parts which share a picture become one."""
    groups = Groups(len(items))
    for part in parts:
        groups.join(part[0], part)
    return [group for group in groups if group[0] in prints]


def _scene(items: Sequence[Item], prints: Prints) -> Positions:
    return _joined(items, prints, _scenes(items, prints))


def _video(items: Sequence[Item], prints: Prints) -> Positions:
    parts = name_parts(items)
    return _by_key(prints, lambda position: found[0] if (found := parts[position]) is not None else position)


def _folder(items: Sequence[Item], prints: Prints) -> Positions:
    def key(position: int) -> object:
        pair = items[position].pair
        return position if pair is None else pair.image.parent

    return _by_key(prints, key)


def _none(_items: Sequence[Item], prints: Prints) -> Positions:
    return [[position] for position in prints]


GROUPINGS: dict[str, Callable[[Sequence[Item], Prints], Positions]] = {
    "auto": _auto,
    "scene": _scene,
    "video": _video,
    "folder": _folder,
    "none": _none,
}
"""auto: scenes and pictures that are nearly the same. scene: frames that follow each other and look alike. video: names
that differ in their last number only. folder: the same folder. none: each alone."""


def _by_expression(items: Sequence[Item], prints: Prints, expression: str) -> Positions:
    try:
        pattern = re.compile(expression)
    except re.error as error:
        known = ", ".join(GROUPINGS)
        raise ConfigError(f"{expression!r} is neither {known} nor a regular expression: {error}") from error
    found = {position: pattern.search(Path(items[position].where).as_posix()) for position in prints}
    if not any(found.values()):
        first = items[next(iter(prints))].where if prints else "…"
        raise ConfigError(f"{expression!r} is neither {', '.join(GROUPINGS)} nor found in a path such as {first}")

    def key(position: int) -> object:
        match = found[position]
        if match is None:
            return position
        return match[1] if pattern.groups else match[0]

    return _by_key(prints, key)


def _by_key(prints: Prints, key: Callable[[int], object]) -> Positions:
    groups: dict[object, list[int]] = {}
    for position in prints:
        groups.setdefault(key(position), []).append(position)
    return list(groups.values())
