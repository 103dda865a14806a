from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from edgeseg_runtime.instances.motion import (
    ACCELERATION,
    FIRST_SPEED,
    LEAST_SIDE,
    MEASUREMENT,
    Motion,
    corrected,
    first_seen,
    predicted,
)

Box = tuple[float, float, float, float]


class EightStates:
    """The textbook filter of one box, with matrices: what `motion` takes apart."""

    def __init__(self, box: Box) -> None:
        self.mean = np.concatenate([_centred(box), np.zeros(4)])
        size = self._size(box)
        self.size = size
        self.covariance = np.diag([(MEASUREMENT * size) ** 2] * 4 + [(FIRST_SPEED * size) ** 2] * 4)

    @staticmethod
    def _size(box: Box) -> float:
        return float(np.sqrt((box[2] - box[0]) * (box[3] - box[1])))

    def predict(self, t: float) -> None:
        move = np.eye(8)
        move[:4, 4:] = t * np.eye(4)
        noise = np.kron([[t**3 / 3, t**2 / 2], [t**2 / 2, t]], np.eye(4)) * (ACCELERATION * self.size) ** 2
        self.mean = move @ self.mean
        self.covariance = move @ self.covariance @ move.T + noise

    def correct(self, box: Box) -> None:
        self.size = self._size(box)
        look = np.eye(4, 8)
        total = look @ self.covariance @ look.T + np.eye(4) * (MEASUREMENT * self.size) ** 2
        gain = self.covariance @ look.T @ np.linalg.inv(total)
        self.mean = self.mean + gain @ (_centred(box) - look @ self.mean)
        self.covariance = (np.eye(8) - gain @ look) @ self.covariance


def _centred(box: Box) -> npt.NDArray[np.float64]:
    x0, y0, x1, y1 = box
    return np.array([(x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0])


def array(*boxes: Box) -> npt.NDArray[np.float32]:
    return np.array(boxes, np.float32).reshape(-1, 4)


def test_four_small_filters_are_the_usual_one_of_eight_states() -> None:
    rng = np.random.default_rng(5)
    start = [(10.0, 20.0, 40.0, 90.0), (100.0, 50.0, 180.0, 80.0)]
    motion, expected = first_seen(array(*start)), [EightStates(box) for box in start]
    for _ in range(12):
        t = float(rng.uniform(0, 0.3))
        boxes = array(*(tuple(np.add(box, rng.normal(0, 2, 4))) for box in start))
        motion = corrected(predicted(motion, t), boxes)
        for one, box in zip(expected, boxes.tolist(), strict=True):
            one.predict(t)
            one.correct(box)
    for row, one in enumerate(expected):
        np.testing.assert_allclose(motion.place[row], one.mean[:4], rtol=1e-5)
        np.testing.assert_allclose(motion.speed[row], one.mean[4:], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(motion.place_variance[row], np.diag(one.covariance)[:4], rtol=1e-5)
        np.testing.assert_allclose(motion.covariance[row], np.diag(one.covariance[:4, 4:]), rtol=1e-5)
        np.testing.assert_allclose(motion.speed_variance[row], np.diag(one.covariance)[4:], rtol=1e-5)


def test_steady_motion_is_learnt_from_frames_at_any_distance() -> None:
    def box(t: float) -> Box:
        return (10 + 60 * t, 20 - 10 * t, 30 + 60 * t, 60 - 10 * t)

    motion, before = first_seen(array(box(0))), 0.0
    for t in np.cumsum([0.03, 0.1, 0.05, 0.3, 0.02, 0.1, 0.1, 0.2]):
        motion, before = corrected(predicted(motion, t - before), array(box(t))), t
    np.testing.assert_allclose(motion.speed[0, :2], [60, -10], rtol=0.02)
    np.testing.assert_allclose(predicted(motion, 1.0).boxes[0], box(before + 1.0), atol=1.5)


def test_doubt_grows_while_nothing_is_seen() -> None:
    motion = first_seen(array((0, 0, 10, 10)))
    later, much_later = predicted(motion, 0.1), predicted(motion, 1.0)
    assert (motion.place_variance < later.place_variance).all()
    assert (later.place_variance < much_later.place_variance).all()
    np.testing.assert_array_equal(predicted(motion, 0).place_variance, motion.place_variance)


def test_two_steps_are_one_of_their_sum() -> None:
    motion = corrected(predicted(first_seen(array((0, 0, 10, 20))), 0.1), array((3, 1, 13, 21)))
    once, twice = predicted(motion, 0.5), predicted(predicted(motion, 0.2), 0.3)
    np.testing.assert_allclose(once.place, twice.place)
    np.testing.assert_allclose(once.place_variance, twice.place_variance)


def test_a_box_that_shrinks_does_not_turn_inside_out() -> None:
    motion = first_seen(array((0, 0, 40, 40)))
    motion = corrected(predicted(motion, 0.1), array((10, 10, 20, 20)))
    far = predicted(motion, 5.0).boxes[0]
    assert far[2] - far[0] == pytest.approx(LEAST_SIDE) and far[3] - far[1] == pytest.approx(LEAST_SIDE)


def test_rows_are_kept_joined_and_replaced() -> None:
    motion = first_seen(array((0, 0, 2, 2), (4, 4, 8, 8), (1, 1, 5, 5)))
    np.testing.assert_array_equal(motion.kept(np.array([2, 0])).boxes, array((1, 1, 5, 5), (0, 0, 2, 2)))
    joined = motion.kept(np.array([1])).joined(first_seen(array((0, 0, 3, 3))))
    np.testing.assert_array_equal(joined.boxes, array((4, 4, 8, 8), (0, 0, 3, 3)))
    replaced: Motion = joined.replaced(np.array([0]), first_seen(array((7, 7, 9, 9))))
    np.testing.assert_array_equal(replaced.boxes, array((7, 7, 9, 9), (0, 0, 3, 3)))
    np.testing.assert_array_equal(joined.boxes[0], (4, 4, 8, 8))
