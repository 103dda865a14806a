"""Pictures that are there twice, nearly the same, or frames of one video: within a split and across splits."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, pairwise

import numpy as np

from edgeseg.data.clips import find_clips
from edgeseg.data.doctor.findings import Finding, Number
from edgeseg.data.doctor.seen import Seen, plural
from edgeseg.data.likeness import Fingerprint, Groups, Indices, twins

_NAMED = 3  # videos that a sentence names


def prints_of(seen: Seen) -> dict[int, Fingerprint]:
    """Return the fingerprints of the pictures that could be read, by position."""
    return {position: look.print for position, look in enumerate(seen.looks) if look.print is not None}


def same(seen: Seen) -> Iterator[Finding]:
    """Find pictures with the same pixels, and masks that differ between them."""
    groups: dict[bytes, list[int]] = {}
    for position, each in prints_of(seen).items():
        groups.setdefault(each.digest, []).append(position)
    repeated = [group for group in groups.values() if len(group) > 1]
    yield from _within(seen, "duplicate", repeated)
    partners = _Partners(seen)
    for group in repeated:
        for position in group:
            partners.add(position, np.array(group))
    yield from partners.findings("duplicate-across-splits", "the same as")
    for group in repeated:
        masks = {facts.digest for k in group if (facts := seen.looks[k].mask) is not None}
        if len(masks) > 1:
            files = tuple(seen.mask_path(k) for k in group)
            text = f"{len(masks)} different masks of the picture {seen.looks[group[0]].item.name}"
            splits = {seen.looks[k].item.split for k in group}
            split = splits.pop() if len(splits) == 1 else None
            yield Finding("labels-disagree", text, split, files, tuple(group), numbers={"masks": len(masks)})


def alike(seen: Seen) -> Iterator[Finding]:
    """Find pictures that are nearly the same, but not in every pixel."""
    prints = prints_of(seen)
    positions = np.array(list(prints), np.intp)
    digests = np.array([hash(prints[int(k)].digest) for k in positions])
    partners, groups = _Partners(seen), Groups(len(seen.looks))
    for i, found in twins([prints[int(k)] for k in positions]):
        others = positions[found[digests[found] != digests[i]]]
        partners.add(int(positions[i]), others)
        groups.join(int(positions[i]), others[partners.splits[others] == partners.splits[positions[i]]])
    yield from _within(seen, "near-duplicate", [group for group in groups if len(group) > 1])
    yield from partners.findings("near-duplicate-across-splits", "nearly the same as")


def clips(seen: Seen) -> Iterator[Finding]:
    """Find scenes, and videos apart from them, whose frames are in several splits."""
    found = find_clips([look.item for look in seen.looks], prints_of(seen))
    scenes = [(clip.name, scene) for clip in found for scene in clip.scenes()]
    for one, other in combinations(seen.splits, 2):
        shared = _shared(seen, scenes, one, other)
        yield from _told(seen, "scene-across-splits", shared, one, other)
        names = {name for name, _ in shared}
        videos = [(clip.name, clip.frames) for clip in found if clip.name not in names]
        yield from _told(seen, "video-across-splits", _shared(seen, videos, one, other), one, other)


Frames = tuple[int, ...]


def _shared(seen: Seen, runs: list[tuple[str, Frames]], one: str, other: str) -> list[tuple[str, Frames]]:
    """Return the runs of frames that are in both splits."""
    return [(name, run) for name, run in runs if {one, other} <= {seen.looks[k].item.split for k in run}]


def _told(seen: Seen, check: str, shared: list[tuple[str, Frames]], one: str, other: str) -> Iterator[Finding]:
    if not shared:
        return
    within = {
        split: [k for _, run in shared for k in run if seen.looks[k].item.split == split] for split in (one, other)
    }
    total = sum(look.item.split == other for look in seen.looks)
    names = list(dict.fromkeys(name for name, _ in shared))
    what = plural(len(shared), "scene" if check == "scene-across-splits" else "video")
    text = (
        f"{len(within[other])} of {total} {other} pictures are frames of {what} that {one} has"
        f" {plural(len(within[one]), 'frame')} of: {', '.join(names[:_NAMED])}{' and others' * (len(names) > _NAMED)}"
    )
    files = tuple(seen.looks[k].item.where for k in within[other])
    numbers: dict[str, Number] = {"pictures": len(within[other]), "of": total, "first": one, "second": other}
    yield Finding(check, text, None, files, _neighbours(shared[0][1], within[one], within[other]), numbers=numbers)


def _neighbours(frames: tuple[int, ...], here: list[int], there: list[int]) -> tuple[int, int]:
    """Return two frames of a clip that follow each other, one of each split if there are such."""
    for pair in pairwise(frames):
        if (pair[0] in here and pair[1] in there) or (pair[0] in there and pair[1] in here):
            return pair
    return here[0], there[0]


def _within(seen: Seen, check: str, groups: list[list[int]]) -> Iterator[Finding]:
    for split in seen.splits:
        inside = [[k for k in group if seen.looks[k].item.split == split] for group in groups]
        found = sorted((group for group in inside if len(group) > 1), key=len, reverse=True)
        if found:
            count, total = sum(len(group) for group in found), sum(look.item.split == split for look in seen.looks)
            text = f"{count} of {plural(total, 'picture')} are in {plural(len(found), 'group')}"
            text += f" of up to {len(found[0])}"
            paths = tuple(tuple(seen.looks[k].item.where for k in group) for group in found)
            numbers = {"pictures": count, "groups": len(found), "largest": len(found[0])}
            yield Finding(check, text, split, (), tuple(found[0][:4]), paths, numbers)


class _Partners:
    """For each picture one that it resembles in each other split."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        self.splits = np.array([look.item.split for look in seen.looks])
        self._found = {split: np.full(len(seen.looks), -1) for split in seen.splits}

    def add(self, one: int, others: Indices) -> None:
        """Take note that a picture resembles others."""
        mine = self._found[str(self.splits[one])]
        mine[others[mine[others] < 0]] = one
        for split, partner in self._found.items():
            there = others[self.splits[others] == split]
            if len(there) and partner[one] < 0:
                partner[one] = there[0]

    def findings(self, check: str, what: str) -> Iterator[Finding]:
        """Tell, for each two splits, how many pictures of the second resemble one of the first."""
        for first, second in combinations(self._seen.splits, 2):
            inside = self.splits == second
            found = np.flatnonzero(inside & (self._found[first] >= 0))
            if len(found):
                pairs = [(int(k), int(self._found[first][k])) for k in found]
                text = f"{len(pairs)} of {inside.sum()} {second} pictures are {what} one of {first}"
                paths = tuple((self._where(there), self._where(here)) for here, there in pairs)
                numbers: dict[str, Number] = {
                    "pictures": len(pairs),
                    "of": int(inside.sum()),
                    "first": first,
                    "second": second,
                }
                yield Finding(check, text, None, (), pairs[0][::-1], paths, numbers)

    def _where(self, position: int) -> str:
        return self._seen.looks[position].item.where
