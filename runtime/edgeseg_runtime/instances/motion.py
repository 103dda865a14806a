"""Where boxes will be: a Kalman filter of constant velocity for many boxes at once.

A box is (centre x, centre y, width, height) in pixels, as in SORT and its followers (Bewley et al., arXiv:1602.00763;
noise in proportion to the object's size: Wojke et al., arXiv:1703.07402). Each of the four numbers has a filter of its
own with two states, value and velocity in pixels a second. That is the usual filter of eight states: its matrices join
a value with nothing but its own velocity. With time in seconds, frames may come at any distance from each other.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]
Boxes = npt.NDArray[np.float32]

MEASUREMENT = 1 / 20
"""Standard deviation of a detector's boxes, in sizes of the object (the root of its area); DeepSORT's."""
FIRST_SPEED = 3.0
"""Standard deviation of what is known of a velocity at first, sizes a second: next to nothing."""
ACCELERATION = 1.5
"""Of the white noise that stands for changes of velocity, sizes a second, after a second."""
LEAST_SIDE = 1.0
"""Pixels: a box that shrinks does not turn inside out."""


@dataclass(frozen=True, eq=False)
class Motion:
    """What is known of n boxes. All arrays are float64 (n, 4) but `size`."""

    place: Numbers
    """Centre x, centre y, width, height in pixels."""
    speed: Numbers
    """Pixels a second."""
    place_variance: Numbers
    covariance: Numbers
    """Of place and speed."""
    speed_variance: Numbers
    size: Numbers
    """(n, 1): root of the last measured area, pixels; the unit of all noise."""

    @property
    def boxes(self) -> Boxes:
        """(n, 4): left, top, right, bottom in pixels."""
        centre, half = self.place[:, :2], self.place[:, 2:] / 2
        return np.hstack([centre - half, centre + half]).astype(np.float32)

    def kept(self, which: npt.NDArray[np.intp]) -> Motion:
        """Return those of the rows `which`."""
        return Motion(*(getattr(self, field.name)[which] for field in fields(self)))

    def replaced(self, which: npt.NDArray[np.intp], others: Motion) -> Motion:
        """Return all, with `others` in place of the rows `which`."""
        changed = {field.name: getattr(self, field.name).copy() for field in fields(self)}
        for name, values in changed.items():
            values[which] = getattr(others, name)
        return Motion(**changed)

    def joined(self, other: Motion) -> Motion:
        """Return both, one after the other."""
        return Motion(*(np.vstack([getattr(self, field.name), getattr(other, field.name)]) for field in fields(self)))


def first_seen(boxes: Boxes) -> Motion:
    """Return what one measurement tells: (n, 4) left, top, right, bottom in pixels."""
    place = _measured(boxes)
    size = _size(place)
    still = np.zeros_like(place)
    return Motion(
        place, still, still + (MEASUREMENT * size) ** 2, still.copy(), still + (FIRST_SPEED * size) ** 2, size
    )


def predicted(motion: Motion, seconds: float) -> Motion:
    """Return what is known `seconds` later (≥ 0) without another measurement.

    The noise is white acceleration of spectral density q: over t seconds it adds q·t³/3 to a place's variance, q·t²/2
    to the covariance and q·t to the velocity's variance (Bar-Shalom et al., 2001, section 6.2.2).
    """
    density = (ACCELERATION * motion.size) ** 2
    place = motion.place + seconds * motion.speed
    place[:, 2:] = np.maximum(place[:, 2:], LEAST_SIDE)
    return Motion(
        place,
        motion.speed,
        motion.place_variance
        + 2 * seconds * motion.covariance
        + seconds**2 * motion.speed_variance
        + density * seconds**3 / 3,
        motion.covariance + seconds * motion.speed_variance + density * seconds**2 / 2,
        motion.speed_variance + density * seconds,
        motion.size,
    )


def corrected(motion: Motion, boxes: Boxes) -> Motion:
    """Return what is known once each box was measured: (n, 4) left, top, right, bottom in pixels."""
    place = _measured(boxes)
    size = _size(place)
    total = motion.place_variance + (MEASUREMENT * size) ** 2
    gain, speed_gain = motion.place_variance / total, motion.covariance / total
    error = place - motion.place
    return Motion(
        motion.place + gain * error,
        motion.speed + speed_gain * error,
        (1 - gain) * motion.place_variance,
        (1 - gain) * motion.covariance,
        motion.speed_variance - speed_gain * motion.covariance,
        size,
    )


def _measured(boxes: Boxes) -> Numbers:
    values = boxes.astype(np.float64).reshape(-1, 4)
    return np.hstack([(values[:, :2] + values[:, 2:]) / 2, np.maximum(values[:, 2:] - values[:, :2], LEAST_SIDE)])


def _size(place: Numbers) -> Numbers:
    return np.sqrt(place[:, 2:3] * place[:, 3:4])
