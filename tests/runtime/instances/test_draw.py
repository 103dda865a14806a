from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from edgeseg_runtime.contract import Label
from edgeseg_runtime.draw import color_table
from edgeseg_runtime.instances.decode import InstanceDecoder
from edgeseg_runtime.instances.draw import object_colors
from edgeseg_runtime.instances.result import InstanceResult
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.sinks import Shot
from edgeseg_runtime.sources.base import Frame
from tests.instance_model import instance_contract

LABELS = (Label("red", (200, 0, 0)), Label("green", (0, 200, 0)), Label("blue", (0, 0, 200)))
CONTRACT = instance_contract("detections", labels=LABELS, height=240, width=320)


def found(*objects: tuple[list[float], int], ids: tuple[int, ...] = ()) -> InstanceResult:
    """Objects that fill their boxes, the first the surest."""
    count = len(objects)
    outputs = (
        np.array([box for box, _ in objects], np.float32).reshape(count, 4),
        np.array([label for _, label in objects], np.int64),
        np.linspace(0.9, 0.5, count).astype(np.float32),
        np.ones((count, 4, 4), np.float32),
    )
    return replace(InstanceDecoder(CONTRACT)(outputs, 240, 320), ids=ids)


def noise() -> Image:
    return np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)


def near(result: InstanceResult) -> npt.NDArray[np.bool_]:
    """Where an object or the words above it may be."""
    where: npt.NDArray[np.bool_] = result.mask != 255
    for x0, y0, _, _ in result.boxes.astype(int):
        where[max(0, y0 - 20) : y0 + 20, max(0, x0 - 150) : x0 + 150] = True
    return where


@pytest.mark.parametrize("opacity", [0.0, 0.3, 0.5, 1.0])
def test_objects_are_tinted_and_the_rest_stays(opacity: float) -> None:
    frame, table = noise(), color_table(CONTRACT)
    result = found(([50, 60, 150, 200], 0), ([200, 100, 300, 220], 2), ids=(4, 7))
    picture = result.drawn_on(frame, table, opacity)
    assert picture.dtype == np.uint8 and picture.shape == frame.shape
    np.testing.assert_array_equal(frame, noise())
    outside = ~near(result)
    assert outside.mean() > 0.3
    np.testing.assert_array_equal(picture[outside], frame[outside])
    colors = object_colors(table[[0, 2], 0], (4, 7))
    for (top, left), color in zip([(90, 60), (130, 210)], colors, strict=True):
        inner = np.s_[top : top + 60, left : left + 70]
        wanted = opacity * color.astype(float) + (1 - opacity) * frame[inner]
        assert np.abs(picture[inner] - wanted).max() <= 0.5 + 1e-6


def test_outlines_are_in_the_full_colour_and_within_the_object() -> None:
    frame, table = noise(), color_table(CONTRACT)
    result = found(([50, 60, 150, 200], 1))
    picture = result.drawn_on(frame, table, 0.2)
    (color,) = object_colors(table[[1], 0], (0,))
    for rim in (np.s_[100:199, 50], np.s_[100:199, 149], np.s_[199, 50:150]):
        np.testing.assert_array_equal(picture[rim], np.broadcast_to(color, picture[rim].shape))
    np.testing.assert_array_equal(picture[100:199, [49, 150]], frame[100:199, [49, 150]])


def test_neighbours_of_one_class_are_told_apart_and_the_surer_lies_on_top() -> None:
    frame, table = noise(), color_table(CONTRACT)
    result = found(([50, 60, 150, 200], 1), ([100, 60, 250, 200], 1))
    picture = result.drawn_on(frame, table, 1.0)
    one, other = object_colors(table[[1, 1], 0], (0, 1))
    assert np.abs(one.astype(int) - other).max() > 30
    np.testing.assert_array_equal(picture[150, [60, 120, 148]], np.tile(one, (3, 1)))
    np.testing.assert_array_equal(picture[150, [151, 240]], np.tile(other, (2, 1)))


def test_an_id_keeps_its_colour_wherever_it_is_among_the_objects() -> None:
    colors = object_colors(np.tile(np.array([200, 40, 0], np.uint8), (50, 1)), range(50))
    assert len(np.unique(colors, axis=0)) > 45
    again = object_colors(np.tile(np.array([200, 40, 0], np.uint8), (2, 1)), (31, 7))
    np.testing.assert_array_equal(again, colors[[31, 7]])


def test_words_are_written_above_and_say_class_score_and_id() -> None:
    frame, table = np.full((240, 320, 3), 90, np.uint8), color_table(CONTRACT)
    plain, other = found(([50, 60, 150, 200], 1)), found(([50, 60, 150, 200], 1), ids=(0,))
    pictures = [one.drawn_on(frame, table, 0.5) for one in (plain, other, replace(plain, ids=(123,)))]
    above = [(picture[45:60] != frame[45:60]).any(axis=(0, 2)).sum() for picture in pictures]
    assert 30 < above[0] == above[1] < above[2]  # id 0 is none
    low = (pictures[0][:44] == frame[:44]).all()
    assert low


def test_words_stay_in_the_picture() -> None:
    frame, table = noise(), color_table(CONTRACT)
    for box in ([0, 0, 10, 10], [310, 0, 320, 10], [300, 230, 320, 240]):
        picture = found((list(map(float, box)), 0)).drawn_on(frame, table, 0.5)
        assert (picture != frame).any(axis=2).sum() > 200
    tiny = InstanceDecoder(CONTRACT)(
        (np.array([[0, 0, 9, 9]], np.float32), np.array([0]), np.ones(1, np.float32), np.ones((1, 2, 2), np.float32)),
        5,
        4,
    )
    assert tiny.drawn_on(np.zeros((5, 4, 3), np.uint8), table, 0.5).shape == (5, 4, 3)


def test_more_objects_than_a_byte_counts_are_drawn() -> None:
    boxes = [([float(x), float(y), x + 8.0, y + 8.0], 0) for y in range(0, 240, 12) for x in range(0, 320, 12)]
    contract = replace(CONTRACT, selection=replace(CONTRACT.selection, limit=1000))  # type: ignore[type-var]
    outputs = (
        np.array([box for box, _ in boxes], np.float32),
        np.zeros(len(boxes), np.int64),
        np.linspace(1, 0.5, len(boxes)).astype(np.float32),
        np.ones((len(boxes), 2, 2), np.float32),
    )
    result = InstanceDecoder(contract)(outputs, 240, 320)
    assert len(result) > 300
    frame = np.full((240, 320, 3), 90, np.uint8)
    picture = result.drawn_on(frame, color_table(CONTRACT), 1.0)
    assert (picture != frame).any(axis=2)[result.mask != 255].all()


def test_without_objects_the_picture_is_a_copy_of_the_frame() -> None:
    frame = noise()
    picture = found().drawn_on(frame, color_table(CONTRACT), 0.5)
    np.testing.assert_array_equal(picture, frame)
    assert not np.shares_memory(picture, frame)


def test_letters_that_opencv_lacks_are_replaced() -> None:
    labels = (Label("道路", (9, 9, 9)), *LABELS[1:])
    result = found(([50, 60, 150, 200], 0))
    strange = replace(result, contract=replace(CONTRACT, labels=labels))
    strange.drawn_on(noise(), color_table(CONTRACT), 0.5)


def test_a_shot_draws_objects_as_it_draws_masks() -> None:
    frame, result = noise(), found(([50, 60, 150, 200], 0))
    table = color_table(CONTRACT)
    shot = Shot(Frame(0, frame, 0.0, None, "a"), result, table, 0.4)
    np.testing.assert_array_equal(shot.picture, result.drawn_on(frame, table, 0.4))
    np.testing.assert_array_equal(shot.drawn(0.9), result.drawn_on(frame, table, 0.9))
    assert shot.drawn(0) is frame
