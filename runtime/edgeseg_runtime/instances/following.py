"""From what a model says about one frame to what is known of its objects over time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeseg_runtime.events import Events
from edgeseg_runtime.instances.counting import ObjectCounter
from edgeseg_runtime.instances.counts import Counts
from edgeseg_runtime.instances.lines import CountLine
from edgeseg_runtime.instances.region import Region
from edgeseg_runtime.instances.result import InstanceResult
from edgeseg_runtime.instances.tracking import NO_ID, Rows, Tracker, TrackerOptions, sure_ones
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.result import Result

if TYPE_CHECKING:
    from edgeseg_runtime.segmenter import Lane, Segmenter
    from edgeseg_runtime.zones.polygon import Zone


def _no_zones(camera: str) -> tuple[Zone, ...]:  # noqa: ARG001
    return ()


@dataclass(frozen=True)
class Following:
    """How the objects of every camera are followed."""

    tracker: TrackerOptions = field(default_factory=TrackerOptions)
    lines: tuple[CountLine, ...] = ()
    """Of every camera."""
    zones: Callable[[str], Sequence[Zone]] = _no_zones
    """Gives a camera's zones of the moment; called from the thread that follows."""


class Follower:
    """Gives ids to one camera's objects and counts them. To be called with its frames' results, in order.

    Objects that are unsure and continue no track are left out of what is returned: the model was asked for them only so
    that tracks could go on. The result of a model that finds no objects is returned as it is.
    """

    def __init__(self, camera: str, events: Events, how: Following) -> None:
        self._camera, self._how = camera, how
        self._tracker = Tracker(how.tracker)
        self._counter = ObjectCounter(camera, events, how.lines)
        self._lock = Lock()
        self._at: float | None = None

    @property
    def counts(self) -> Counts:
        """Up to the newest frame."""
        return self._counter.counts

    def __call__(self, result: Result, at: float) -> Result:
        """Return the result with ids and counts. `at`: when its frame was taken, in seconds of one clock."""
        if not isinstance(result, InstanceResult):
            return result
        with self._lock:
            self._at = at
            ids = self._tracker.update(result, at)
            kept = np.flatnonzero(sure_ones(result) | (np.array(ids, np.int64) != NO_ID))
            known = chosen(result, kept, tuple(ids[number] for number in kept))
            counts = self._counter.update(known, at, self._tracker.ids, self._how.zones(self._camera))
            return _changed(known, known.regions, counts=counts)

    def idle(self, at: float) -> None:
        """Say that it is `at` by the frames' clock; where no frame came for long, nothing is known any more."""
        with self._lock:
            if self._at is not None and at - self._at > self._how.tracker.keep_seconds:
                self._counter.reset("stale")
                self._at = None

    def close(self) -> None:
        """Say that no frame comes any more."""
        with self._lock:
            if self._at is not None:
                self._counter.reset("ended")
                self._at = None


class Watchful:
    """A recording's model that tells of unsure objects too, and pastes masks where its lanes work side by side."""

    def __init__(self, model: Segmenter) -> None:
        self.contract, self._model = model.contract, model

    def lane(self) -> _WatchfulLane:
        """Make a way through the model for a thread of its own."""
        return _WatchfulLane(self._model.lane(unsure=True))


class _WatchfulLane:
    def __init__(self, lane: Lane) -> None:
        self._lane = lane

    def each(self, frames: Sequence[Image]) -> list[Result]:
        results = self._lane.each(frames)
        for result in results:
            if isinstance(result, InstanceResult):
                _ = result.regions
        return results


def chosen(result: InstanceResult, rows: Rows, ids: tuple[int, ...]) -> InstanceResult:
    """Return the result with only some of its objects, which have these ids."""
    return _changed(
        result,
        tuple(result.regions[row] for row in rows),
        boxes=result.boxes[rows],
        scores=result.scores[rows],
        labels=result.labels[rows],
        patches=tuple(result.patches[row] for row in rows),
        ids=ids,
        more=result.crowded,
    )


def _changed(result: InstanceResult, regions: tuple[Region, ...], **changes: Any) -> InstanceResult:
    """Return the result with other values; its masks, which were pasted already, are not pasted again."""
    changed = replace(result, **changes)
    vars(changed)["regions"] = regions
    return changed
