from __future__ import annotations

import numpy as np

from edgeseg_runtime.contract import Contract, Label
from edgeseg_runtime.instances.result import InstanceResult
from edgeseg_runtime.live.track import Masked
from edgeseg_runtime.live.tricks import FlowCarry, StaticSkip
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.result import SemanticResult, StageTimes
from edgeseg_runtime.sources.base import Frame
from edgeseg_runtime.temporal.objects import moved
from tests.runtime.instances.scripted import Thing, scripted

FPS = 15
CONTRACT = Contract((Label("ground", (0, 0, 0)), Label("thing", (255, 255, 255))), 120, 160)


def scene(shift: int, seed: int = 0) -> tuple[Image, np.ndarray]:
    """A textured square that moves to the right over a textured ground, and its mask."""
    random = np.random.default_rng(seed)
    ground = np.kron(random.integers(60, 120, (30, 40, 3)), np.ones((4, 4, 1))).astype(np.uint8)
    thing = np.kron(random.integers(150, 250, (10, 10, 3)), np.ones((4, 4, 1))).astype(np.uint8)
    mask = np.zeros((120, 160), np.uint8)
    ground[40:80, 30 + shift : 70 + shift] = thing
    mask[40:80, 30 + shift : 70 + shift] = 1
    return ground, mask


def frame(index: int, image: Image) -> Frame:
    return Frame(index, image, 100 + index / FPS, None, f"{index:06d}")


def masked(index: int, image: Image, mask: np.ndarray) -> Masked:
    return Masked(frame(index, image), SemanticResult(mask, CONTRACT, StageTimes(0, 0, 0)))


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return float(((one == 1) & (other == 1)).sum() / ((one == 1) | (other == 1)).sum())


def test_a_carried_mask_follows_what_moves_where_a_held_one_stays_behind() -> None:
    carry = FlowCarry()
    image, mask = scene(0)
    carry.keyframe(masked(0, image, mask))
    for index in range(1, 5):
        image, truth = scene(3 * index)
        moved = carry.to(frame(index, image))
    assert moved is not None and iou(moved.mask, truth) > 0.85 > 0.6 > iou(mask, truth)


def test_nothing_is_carried_over_a_cut_or_beyond_its_time() -> None:
    carry = FlowCarry(max_age_s=0.5)
    image, mask = scene(0)
    carry.keyframe(masked(0, image, mask))
    assert carry.to(frame(1, image)) is not None
    assert carry.to(frame(30, image)) is None  # two seconds later
    other = np.random.default_rng(9).integers(0, 255, image.shape).astype(np.uint8)
    carry.keyframe(masked(31, image, mask))
    assert carry.to(frame(32, 255 - other)) is None
    assert carry.to(frame(33, 255 - other)) is None  # the new scene has no mask yet
    carry.keyframe(masked(33, 255 - other, mask))
    assert carry.to(frame(34, 255 - other)) is not None


def test_a_still_picture_needs_the_model_once_a_second_and_a_change_at_once() -> None:
    skip, random = StaticSkip(refresh_s=1.0), np.random.default_rng(1)
    image, _ = scene(0)
    inferred = list[int]()
    for index in range(10 * FPS):
        noisy = np.clip(image + random.normal(0, 2, image.shape), 0, 255).astype(np.uint8)
        if not skip.unchanged(frame(index, noisy)):
            inferred.append(index)
            skip.inferred(frame(index, noisy))
    late = [index for index in inferred if index >= 3 * FPS]  # the noise is known by then
    assert 6 <= len(late) <= 9
    moved, _ = scene(6)
    assert not skip.unchanged(frame(10 * FPS, moved))


def test_carried_objects_follow_what_moves_and_stay_who_they_are() -> None:
    carry = FlowCarry()
    image, mask = scene(0)
    box = objects_box(mask)
    still = Thing((2.0, 2.0, 12.0, 12.0))
    result = scripted([Thing(box), still], *mask.shape, ids=(7, 8))
    carry.keyframe(Masked(frame(0, image), result))
    for index in range(1, 5):
        image, truth = scene(3 * index)
        now = carry.to(frame(index, image))
    assert isinstance(now, InstanceResult)
    assert now.ids == (7, 8)
    np.testing.assert_allclose(now.boxes[0], objects_box(truth), atol=2)
    np.testing.assert_allclose(now.boxes[1], still.box, atol=1)
    np.testing.assert_allclose(objects_box((now.mask != 255) & (np.arange(160) > 14)), objects_box(truth), atol=2)
    assert np.abs(np.subtract(box, objects_box(truth))).max() > 5  # the control: it did move


def objects_box(mask: np.ndarray) -> tuple[float, float, float, float]:
    rows, columns = np.flatnonzero((mask == 1).any(axis=1)), np.flatnonzero((mask == 1).any(axis=0))
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def test_an_object_that_has_left_the_picture_is_carried_no_further() -> None:
    field = np.zeros((30, 40, 2), np.float32)
    field[..., 0] = 10  # everything was 10 thumbnail pixels to the right: it moves 40 pixels to the left
    result = scripted([Thing((20.0, 20.0, 36.0, 40.0)), Thing((100.0, 20.0, 120.0, 40.0))], ids=(1, 2))
    moved_result = moved(result, field)
    assert moved_result.ids == (2,)
    np.testing.assert_allclose(moved_result.boxes, [[60, 20, 80, 40]])
    assert moved_result.regions[0].area == 20 * 20 and moved_result.regions[0].left == 60
    assert len(moved(scripted([]), field)) == 0
