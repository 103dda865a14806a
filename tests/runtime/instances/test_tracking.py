from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from edgeseg.data.canvas import Scene
from edgeseg.data.procedural import procedural_clip
from edgeseg.data.scene import LABELS as STREET
from edgeseg_runtime.contract import Contract, Selection
from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.instances import tracking
from edgeseg_runtime.instances.region import Region
from edgeseg_runtime.instances.result import InstanceResult
from edgeseg_runtime.instances.tracking import NO_ID, Tracker, TrackerOptions, sure_ones, unsure_thresholds
from tests.runtime.instances.scripted import CAR, CONTRACT, PERSON, Thing, at, scripted

PERIOD = 1 / 15


def run(tracker: Tracker, frames: Sequence[Sequence[Thing]], times: Sequence[float] | None = None) -> list[list[int]]:
    moments = [index * PERIOD for index in range(len(frames))] if times is None else times
    return [list(tracker.update(scripted(frame), moment)) for frame, moment in zip(frames, moments, strict=True)]


def walk(x: float, speed: float, times: Sequence[float], y: float = 80, **more: Any) -> list[Thing]:
    return [at(x + speed * t, y, **more) for t in times]


def test_an_object_gets_an_id_when_it_was_seen_twice_and_keeps_it() -> None:
    times = [index * PERIOD for index in range(10)]
    assert run(Tracker(), [[thing] for thing in walk(20, 40, times)], times) == [[NO_ID]] + 9 * [[1]]


def test_what_is_seen_once_gets_no_id_and_uses_none_up() -> None:
    lasting = at(40, 80)
    frames = [[lasting], [lasting, at(120, 60)], [lasting], [lasting, at(120, 90)], [lasting, at(120, 90)]]
    assert run(Tracker(), frames) == [[NO_ID], [1, NO_ID], [1], [1, NO_ID], [1, 2]]
    at_once = run(Tracker(TrackerOptions(hits=1)), frames)
    assert at_once == [[1], [1, 2], [1], [1, 3], [1, 3]]


@pytest.mark.parametrize("gap", [2, 5])
def test_objects_that_cross_keep_their_ids_by_motion(gap: float) -> None:
    times = [index * PERIOD for index in range(45)]
    right, left = walk(20, 40, times), walk(140, -40, times, y=80 + gap)
    ids = run(Tracker(), [list(frame) for frame in zip(right, left, strict=True)], times)
    assert ids[1] == [1, 2] or ids[1] == [2, 1]
    assert ids[1:] == 44 * [ids[1]]


def test_the_control_without_motion_confuses_those_that_cross(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "predicted", lambda motion, _seconds: motion)
    times = [index * PERIOD for index in range(45)]
    ids = run(Tracker(), [list(pair) for pair in zip(walk(20, 40, times), walk(140, -40, times), strict=True)], times)
    assert ids[1:] != 44 * [ids[1]]


def test_masks_tell_apart_what_boxes_do_not() -> None:
    """Two triangles that fill one square: the same boxes, nothing in common."""
    upper = np.triu(np.ones((8, 8), np.float32), 1) - 0.5
    lower = np.tril(np.ones((8, 8), np.float32), -1) - 0.5
    box = (40.0, 40.0, 72.0, 72.0)
    one, other = Thing(box, values=upper), Thing(box, values=lower)
    ids = run(Tracker(), [[one, other], [one, other], [other, one], [one, other]])
    assert ids[1] == ids[3] == ids[2][::-1]
    assert sorted(ids[1]) == [1, 2]


def test_a_mask_moves_with_its_track(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bar that moves by half its own thickness: where it was last, only a third of what both cover is common."""
    times = [index * PERIOD for index in range(12)]
    options = TrackerOptions(sure_overlap=0.6)
    bars = [[Thing((40.0, 30 + 45 * t, 100.0, 36 + 45 * t))] for t in times]
    assert run(Tracker(options), bars, times) == [[NO_ID]] + 11 * [[1]]
    monkeypatch.setattr(tracking, "predicted", lambda motion, _seconds: motion)
    assert run(Tracker(options), bars, times) != [[NO_ID]] + 11 * [[1]]


def test_missed_detections_are_bridged_and_a_lost_track_is_not_found_again_after_its_time() -> None:
    times = [index * PERIOD for index in range(30)]
    steps = walk(20, 40, times)
    seen = [[thing] if not 10 <= index < 20 else [] for index, thing in enumerate(steps)]
    assert {frame[0] for frame in run(Tracker(), seen, times) if frame} == {NO_ID, 1}
    impatient = run(Tracker(TrackerOptions(keep_seconds=0.3)), seen, times)
    assert [frame[0] for frame in impatient if frame] == [NO_ID] + 9 * [1] + [NO_ID] + 9 * [2]


def test_a_second_in_which_no_frame_came_changes_nothing() -> None:
    times = [index * PERIOD for index in range(12)] + [1.0 + index * PERIOD for index in range(12, 24)]
    frames = [list(frame) for frame in zip(walk(20, 30, times), walk(140, -30, times, y=60), strict=True)]
    ids = run(Tracker(), frames, times)
    assert ids[1:] == 23 * [ids[1]]
    # the control: a tracker that counts frames takes them for two objects that jump
    counted = run(Tracker(), frames, [index * PERIOD for index in range(24)])
    assert counted[-1] != counted[1]


def test_time_that_stands_still_or_goes_back_does_no_harm() -> None:
    things = [[at(50, 80)]] * 4
    assert run(Tracker(), things, [5.0, 5.0, 3.0, 5.1]) == [[NO_ID], [1], [1], [1]]


def test_an_unsure_object_keeps_the_track_that_expects_it_but_begins_none() -> None:
    times = [index * PERIOD for index in range(12)]
    scores = [0.9] * 4 + [0.2] * 4 + [0.9] * 4
    steps = [[replace(thing, score=score)] for thing, score in zip(walk(20, 40, times), scores, strict=True)]
    assert run(Tracker(), steps, times) == [[NO_ID]] + 11 * [[1]]
    never_sure = [[replace(thing, score=0.2)] for thing in walk(20, 40, times)]
    assert run(Tracker(), never_sure, times) == 12 * [[NO_ID]]


def test_an_unsure_object_does_not_wake_a_track_that_is_lost() -> None:
    still = at(50, 80)
    frames = [[still], [still], [], [], [replace(still, score=0.2)], [still]]
    assert run(Tracker(), frames) == [[NO_ID], [1], [], [], [NO_ID], [1]]


def test_each_class_has_a_threshold_of_its_own() -> None:
    contract = replace(CONTRACT, selection=Selection((0.3, 0.8)))
    result = scripted([Thing((0, 0, 9, 9), CAR, 0.5), Thing((20, 0, 29, 9), PERSON, 0.5)], contract=contract)
    assert sure_ones(result).tolist() == [True, False]
    assert unsure_thresholds(Selection((0.3, 0.8))) == pytest.approx((0.06, 0.16))


def test_tracks_are_of_one_class() -> None:
    frames = [[at(50, 80, label=CAR)]] * 3 + [[at(50, 80, label=PERSON)]] * 3
    assert run(Tracker(), frames) == [[NO_ID], [1], [1], [NO_ID], [2], [2]]


def test_other_classes_begin_new_tracks_and_no_id_comes_twice() -> None:
    tracker = Tracker()
    still = [at(50, 80), at(90, 80)]
    assert run(tracker, [still, still]) == [[0, 0], [1, 2]]
    renamed = replace(CONTRACT, labels=CONTRACT.labels[::-1])
    ids = [list(tracker.update(scripted(still, contract=renamed), moment)) for moment in (1.0, 1.1)]
    assert ids == [[0, 0], [3, 4]]


def test_a_frame_without_objects_is_one() -> None:
    assert run(Tracker(), [[], [at(50, 80)], [], []]) == [[], [NO_ID], [], []]


SCRIPTS = st.lists(
    st.lists(
        st.builds(
            at,
            st.floats(0, 160),
            st.floats(20, 120),
            st.floats(2, 40),
            st.floats(2, 60),
            label=st.sampled_from([CAR, PERSON]),
            score=st.floats(0.125, 1, width=32),
        ),
        max_size=6,
        unique_by=lambda thing: (thing.box, thing.label, thing.score),
    ),
    min_size=1,
    max_size=6,
)


@given(SCRIPTS, st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_the_order_of_the_objects_makes_no_difference_and_ids_are_unique(script: list[list[Thing]], rng) -> None:  # type: ignore[no-untyped-def]
    straight, mixed = Tracker(), Tracker()
    owner: dict[int, int] = {}
    for index, frame in enumerate(script):
        order = list(range(len(frame)))
        rng.shuffle(order)
        ids = straight.update(scripted(frame), index * PERIOD)
        shuffled = mixed.update(scripted([frame[place] for place in order]), index * PERIOD)
        assert [ids[place] for place in order] == list(shuffled)
        given_out = [number for number in ids if number != NO_ID]
        assert len(set(given_out)) == len(given_out)
        for number, thing in zip(ids, frame, strict=True):
            assert number == NO_ID or owner.setdefault(number, thing.label) == thing.label


@given(st.floats(-60, 60), st.floats(-30, 30), st.floats(6, 40), st.floats(10, 60), st.integers(5, 30))
@settings(max_examples=40, deadline=None)
def test_whatever_moves_steadily_keeps_its_id(
    across: float, down: float, width: float, height: float, rate: int
) -> None:
    """As long as it moves by a sixth of itself a frame at most, before its speed is known."""
    across, down = (
        np.clip(speed, -side * rate / 3, side * rate / 3) for speed, side in ((across, width), (down, height))
    )
    across, down = across / 2, down / 2
    times = [index / rate for index in range(20)]
    ids = run(Tracker(), [[at(80 + across * t, 80 + down * t, width, height)] for t in times], times)
    assert ids == [[NO_ID]] + 19 * [[1]]


def crowd(seed: int, count: int = 40, frames: int = 10) -> list[list[Thing]]:
    """Blobs of two classes that wander over one another, come and go, and now and then are seen badly."""
    dice = np.random.default_rng(seed)
    places, speeds = dice.uniform((0, 20), (160, 120), (count, 2)), dice.normal(0, 25, (count, 2))
    sizes, labels = dice.uniform(14, 46, (count, 2)), dice.integers(0, 2, count)
    shapes = [np.where(dice.random((5, 5)) < 0.7, 1, -1).astype(np.float32) for _ in range(count)]
    script = []
    for index in range(frames):
        trembling = places + speeds * index * PERIOD + dice.normal(0, 1, (count, 2))
        scores = np.where(dice.random(count) < 0.15, 0.3, dice.uniform(0.6, 0.9, count))
        script.append(
            [
                at(*trembling[one], *sizes[one], label=int(labels[one]), score=float(scores[one]), values=shapes[one])
                for one in np.flatnonzero(dice.random(count) < 0.9)
            ]
        )
    return script


class EveryPair:
    """In place of `RegionOverlaps`: all pairs, counted in whole pictures."""

    def __init__(
        self,
        one: Sequence[Region],
        other: Sequence[Region],
        shifts: npt.NDArray[np.intp],
        boxes: npt.NDArray[np.float64],
        least: float,
    ) -> None:
        self.most = boxes.copy()
        mine = [picture(region, (int(down), int(right))) for region, (down, right) in zip(one, shifts, strict=True)]
        theirs = [picture(region, (0, 0)) for region in other]
        for row, column in np.argwhere(boxes > 0).tolist():
            a, b = mine[row], theirs[column]
            if a.any() and b.any():
                self.most[row, column] = (a & b).sum() / (a | b).sum()
        self.most[self.most < least] = 0

    def exact(self, row: int, column: int) -> float:  # noqa: ARG002
        raise AssertionError("everything is known")


def picture(region: Region, shift: tuple[int, int]) -> npt.NDArray[np.bool_]:
    drawn = np.zeros((920, 960), np.bool_)
    rows, columns = region.inside.shape
    top, left = 400 + region.top + shift[0], 400 + region.left + shift[1]
    drawn[top : top + rows, left : left + columns] = region.inside
    return drawn


def every_assignment(weights: npt.NDArray[np.float64]) -> list[tuple[int, int]]:
    rows, columns = linear_sum_assignment(weights, maximize=True)
    found = zip(rows.tolist(), columns.tolist(), strict=True)
    return [pair for pair in found if weights[pair] > 0]


@pytest.mark.parametrize("seed", range(6))
def test_a_crowd_is_followed_as_by_one_who_compares_all_with_all(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    script = crowd(seed)
    quick = run(Tracker(), script)
    monkeypatch.setattr(tracking, "RegionOverlaps", EveryPair)
    monkeypatch.setattr(tracking, "weighed", lambda most, _roughly, _weigh: most)
    monkeypatch.setattr(tracking, "pairs", every_assignment)
    assert quick == run(Tracker(), script)
    assert len({number for frame in quick for number in frame}) > 30


@pytest.mark.parametrize("values", [{"hits": 0}, {"keep_seconds": 0}, {"sure_overlap": 0}, {"new_overlap": 1.2}])
def test_options_out_of_range_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="tracker"):
        TrackerOptions(**values)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def drive() -> tuple[list[list[int]], list[InstanceResult]]:
    """The names of the true objects in each frame of a made-up drive, and a result with exactly these objects."""
    names, results = [], []
    contract = Contract(
        STREET, 96, 128, task="instance", output="detections", selection=Selection((0.5,) * len(STREET))
    )
    for scene in procedural_clip(50, (96, 128), seed=4):
        present = [int(number) for number in np.unique(scene.instances) if number and visible(scene, number)]
        names.append(present)
        results.append(scripted([true_thing(scene, number) for number in present], 96, 128, contract=contract))
    return names, results


def visible(scene: Scene, number: int) -> bool:
    return int((scene.instances == number).sum()) >= 10


def true_thing(scene: Scene, number: int) -> Thing:
    inside = scene.instances == number
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    values = inside[top:bottom, left:right].astype(np.float32) - 0.5
    return Thing((left, top, right, bottom), int(scene.mask[inside][0]), values=values)


def followed(drive: tuple[list[list[int]], list[InstanceResult]]) -> Verdict:
    names, results = drive
    tracker = Tracker()
    return Verdict(names, [list(tracker.update(result, index / 15)) for index, result in enumerate(results)])


def test_true_objects_of_a_drive_keep_their_ids(drive: tuple[list[list[int]], list[InstanceResult]]) -> None:
    """Truth in place of a detector: what the tracker gets wrong here, it gets wrong by itself.

    Every object is missed once, in its first frame; that alone costs about three points.
    """
    verdict = followed(drive)
    assert verdict.objects > 500
    assert verdict.switches <= 6
    assert verdict.mota > 0.92
    assert verdict.idf1 > 0.9


def test_the_control_without_motion_mixes_a_drive_up(
    drive: tuple[list[list[int]], list[InstanceResult]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "predicted", lambda motion, _seconds: motion)
    verdict = followed(drive)
    assert verdict.switches > 20
    assert verdict.idf1 < 0.8


class Verdict:
    """MOTA (Bernardin and Stiefelhagen, 2008) and IDF1 (Ristani et al., 2016), where detections are true objects."""

    def __init__(self, truth: list[list[int]], given: list[list[int]]) -> None:
        self.objects = sum(map(len, truth))
        by_object: dict[int, list[int]] = defaultdict(list)
        together: dict[tuple[int, int], int] = defaultdict(int)
        missed = 0
        for names, ids in zip(truth, given, strict=True):
            for name, number in zip(names, ids, strict=True):
                missed += number == NO_ID
                if number != NO_ID:
                    by_object[name].append(number)
                    together[name, number] += 1
        self.switches = sum(one != other for numbers in by_object.values() for one, other in pairwise(numbers))
        self.mota = 1 - (missed + self.switches) / self.objects
        names, numbers = sorted({name for name, _ in together}), sorted({number for _, number in together})
        table = np.array([[together.get((name, number), 0) for number in numbers] for name in names])
        rows, columns = linear_sum_assignment(table, maximize=True)
        right, tracked = int(table[rows, columns].sum()), self.objects - missed
        self.idf1 = 2 * right / (self.objects + tracked)
