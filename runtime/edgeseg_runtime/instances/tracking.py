"""Which object of a frame is which of the frames before: ByteTrack (Zhang et al., arXiv:2110.06864), with masks.

Tracks are carried to the frame's time by a filter of constant velocity (`motion`). Then the sure objects are given to
tracks, and what is left of the tracks that were seen a frame ago may take unsure ones: an object that is half hidden
scores low, but it is where its track says it should be. An object is sure where its score reaches its class's threshold
in the contract. A decoder that is to help a tracker is asked for `unsure_thresholds`.

Three things differ from the paper. Whom to take for whom is decided by the IoU of masks where both have one. A lost
track is kept for seconds and not for frames, because live streams drop frames. And objects only ever take over tracks
of their own class.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from edgeseg_runtime.contract import Label, Selection
from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.instances.assignment import pairs, weighed
from edgeseg_runtime.instances.motion import corrected, first_seen, predicted
from edgeseg_runtime.instances.overlap import RegionOverlaps, box_overlap
from edgeseg_runtime.instances.region import Region
from edgeseg_runtime.instances.result import InstanceResult

Rows = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]

NO_ID = 0
"""Of an object that no track has been confirmed for."""
UNSURE = 0.2
"""Of a class's threshold: below it an object is not even unsure. ByteTrack's 0.1 of 0.5."""


@dataclass(frozen=True)
class TrackerOptions:
    """When objects are the same. Raises ConfigError for values outside what is allowed."""

    sure_overlap: float = 0.1
    """IoU that a sure object must have with where its track should be; half of ByteTrack's, because masks of what
    changes its shape have less in common than their boxes."""
    unsure_overlap: float = 0.5
    """The same of an unsure object, boxes only: masks of what is half hidden are poor. ByteTrack's."""
    new_overlap: float = 0.1
    """The same of a track that is not confirmed yet: it stays where it was first seen, as its speed is not known."""
    hits: int = 2
    """Frames in a row in which something must be sure before it gets an id."""
    keep_seconds: float = 2.0
    """How long a track that is not seen is looked for."""

    def __post_init__(self) -> None:
        if not all(0 < share <= 1 for share in (self.sure_overlap, self.unsure_overlap, self.new_overlap)):
            raise ConfigError("a tracker's overlaps must be above 0 and at most 1")
        if self.hits < 1 or not 0 < self.keep_seconds <= 3600:
            raise ConfigError(
                f"a tracker needs at least 1 hit and 0 to 3600 seconds, got {self.hits} and {self.keep_seconds:g}"
            )


@dataclass(frozen=True, eq=False)
class _Track:
    """What is remembered of an object besides its motion."""

    id: int
    """NO_ID until it is confirmed."""
    label: int
    hits: int
    seen_at: float
    box: npt.NDArray[np.float32]
    """Where it was seen."""
    region: Region


class Tracker:
    """Gives ids to the objects of one camera's successive frames, from 1 upwards, none of them twice.

    The order of a frame's objects makes no difference. Used by one thread at a time.
    """

    def __init__(self, options: TrackerOptions | None = None) -> None:
        self._options = options or TrackerOptions()
        self._tracks: list[_Track] = []
        self._motion = first_seen(np.zeros((0, 4), np.float32))
        self._labels: tuple[Label, ...] = ()
        self._at = float("-inf")
        self._last_id = NO_ID

    @property
    def ids(self) -> frozenset[int]:
        """Of all tracks that were seen, or are still looked for."""
        return frozenset(track.id for track in self._tracks if track.id != NO_ID)

    def update(self, result: InstanceResult, at: float) -> tuple[int, ...]:
        """Return the id of each object; NO_ID where it is new, or unsure and nobody's.

        `at`: when the frame was taken, in seconds of any clock that does not go back; if it does, no time has passed.
        After a change of the model's classes all objects are new.
        """
        options, before = self._options, self._at
        self._carry_to(at)
        if result.contract.labels != self._labels:
            self._labels = result.contract.labels
            self._keep(lambda _: False)
        self._keep(lambda track: self._at - track.seen_at <= options.keep_seconds)

        objects = _in_order(result)
        sure, unsure = _split(objects, sure_ones(result))
        confirmed = self._where(lambda track: track.id != NO_ID)
        found = self._matched(confirmed, sure, result, options.sure_overlap, masks=True)
        lately = self._where(lambda track: track.id != NO_ID and track.seen_at >= before)
        lately = _without(lately, found.values())
        found |= self._matched(lately, unsure, result, options.unsure_overlap, masks=False)
        unconfirmed = self._where(lambda track: track.id == NO_ID)
        found |= self._matched(unconfirmed, _without(sure, found), result, options.new_overlap, masks=True)

        ids = [NO_ID] * len(result)
        for number in objects:
            if int(number) in found:
                ids[number] = self._see(found[int(number)], result, int(number))
        self._correct(found, result)
        self._keep(lambda track: track.id != NO_ID or track.seen_at >= self._at)
        begun = _without(sure, found)
        for number, name in zip(begun, self._begin(result, begun), strict=True):
            ids[number] = name
        return tuple(ids)

    def _carry_to(self, at: float) -> None:
        if self._tracks:
            self._motion = predicted(self._motion, max(0.0, at - self._at))
        self._at = max(at, self._at)

    def _matched(
        self, tracks: Rows, objects: Rows, result: InstanceResult, least: float, *, masks: bool
    ) -> dict[int, int]:
        """Return the track of each object that is given one."""
        if not len(tracks) or not len(objects):
            return {}
        expected = self._motion.kept(tracks)
        remembered = [self._tracks[row] for row in tracks]
        shares = box_overlap(expected.boxes, result.boxes[objects])
        labels = np.array([track.label for track in remembered])
        shares[(labels[:, None] != result.labels[objects][None]) | (shares < least)] = 0
        if not masks:
            found = pairs(shares)
        else:
            boxes = np.stack([track.box for track in remembered])
            centres = (boxes[:, :2] + boxes[:, 2:]) / 2
            shifts = np.rint((expected.place[:, :2] - centres)[:, ::-1]).astype(np.intp)
            regions = [track.region for track in remembered]
            seen = [result.regions[number] for number in objects]
            overlaps = RegionOverlaps(regions, seen, shifts, shares, least)
            found = pairs(weighed(overlaps.most, shares, overlaps.exact))
        return {int(objects[column]): int(tracks[row]) for row, column in found}

    def _see(self, row: int, result: InstanceResult, number: int) -> int:
        """Let a track remember the object that it was given; return its id."""
        track = self._tracks[row]
        hits = track.hits + 1
        name = self._new_id() if track.id == NO_ID and hits >= self._options.hits else track.id
        box, region = result.boxes[number], result.regions[number]
        self._tracks[row] = replace(track, id=name, hits=hits, seen_at=self._at, box=box, region=region)
        return name

    def _correct(self, found: dict[int, int], result: InstanceResult) -> None:
        if found:
            rows = np.array(list(found.values()))
            seen = corrected(self._motion.kept(rows), result.boxes[list(found)])
            self._motion = self._motion.replaced(rows, seen)

    def _begin(self, result: InstanceResult, numbers: Rows) -> list[int]:
        """Begin a track of each object that no track was given; return their ids."""
        names = [self._new_id() if self._options.hits == 1 else NO_ID for _ in numbers]
        for number, name in zip(numbers, names, strict=True):
            label, region = int(result.labels[number]), result.regions[number]
            self._tracks.append(_Track(name, label, 1, self._at, result.boxes[number], region))
        self._motion = self._motion.joined(first_seen(result.boxes[numbers]))
        return names

    def _new_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def _where(self, wanted: Callable[[_Track], bool]) -> Rows:
        return np.array([row for row, track in enumerate(self._tracks) if wanted(track)], np.intp)

    def _keep(self, wanted: Callable[[_Track], bool]) -> None:
        rows = self._where(wanted)
        if len(rows) < len(self._tracks):
            self._tracks = [self._tracks[row] for row in rows]
            self._motion = self._motion.kept(rows)


def unsure_thresholds(selection: Selection) -> tuple[float, ...]:
    """Return, for each class, the score that an object must reach to be of use to a tracker.

    What is sure without them is sure with them, but for a candidate of which the class with the highest score is unsure
    and another one is not: with them it is told of as the former.
    """
    return tuple(UNSURE * threshold for threshold in selection.thresholds)


def sure_ones(result: InstanceResult) -> Flags:
    """Return which objects reach their class's threshold, (n,)."""
    assert result.contract.selection is not None  # an instance model's contract has one
    thresholds = np.array(result.contract.selection.thresholds, np.float32)
    sure: Flags = result.scores >= thresholds[result.labels]
    return sure


def _in_order(result: InstanceResult) -> Rows:
    """Return the objects in an order that does not depend on theirs: the surest first, then by class and place."""
    boxes = result.boxes
    return np.lexsort((boxes[:, 3], boxes[:, 2], boxes[:, 1], boxes[:, 0], result.labels, -result.scores))


def _split(objects: Rows, which: Flags) -> tuple[Rows, Rows]:
    return objects[which[objects]], objects[~which[objects]]


def _without(rows: Rows, others: Iterable[int]) -> Rows:
    out = set(others)
    return np.array([row for row in rows.tolist() if row not in out], np.intp)
