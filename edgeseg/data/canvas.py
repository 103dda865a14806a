"""The sheet that a `World` is drawn on: picture, class mask and instance ids under the same polygons.

It is twice as large as what is asked for, takes sub-pixel corners and is brought down at the end, so that thin things
get soft edges in the picture and sharp ones in the masks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edgeseg.data.scene import VIEW, Color, Kind, Thing, World
from edgeseg_runtime.preprocess import Image, Mask

Points = npt.NDArray[np.float64]

SCALE = 2
NEAR = 1.2
"""Metres in front of the camera where things are cut off."""
SUBPIXEL = 4  # fractional bits of a corner, as cv2 takes them
SIGHT: dict[Kind, float] = {
    "building": VIEW,
    "tree": VIEW,
    "bush": 50.0,
    "pole": 60.0,
    "sign": 50.0,
    "car": 60.0,
    "person": 45.0,
}
"""Metres beyond which a kind is too small to be worth drawing."""


@dataclass(frozen=True)
class Scene:
    """A drawn scene."""

    image: Image
    """uint8 H×W×3, BGR."""
    mask: Mask
    """uint8 H×W, indices into `scene.LABELS`."""
    instances: npt.NDArray[np.uint16]
    """H×W; 0 where no countable object is, else the object's number, the same in every frame of a clip."""


class Canvas:
    """A camera and what it has drawn so far of `world` after `time` seconds; `size` is (height, width) at the end."""

    def __init__(self, world: World, size: tuple[int, int], time: float) -> None:
        self.world, self.light, self.time = world, world.light, time
        self.size = size
        height, width = size[0] * SCALE, size[1] * SCALE
        self.image: npt.NDArray[np.uint8] = np.zeros((height, width, 3), np.uint8)
        self.truth: npt.NDArray[np.uint16] = np.zeros((height, width, 2), np.uint16)  # class, instance
        self.horizon = world.horizon * height
        self.eye = np.array([world.shift, world.eye])
        self.centre = np.array([width * world.vanishing, self.horizon])
        self.focal = world.focal * width * np.array([1.0, -1.0])  # rows grow downwards
        self.travelled = world.speed * time

    def project(self, points: npt.ArrayLike) -> Points:
        """Map (..., 3) metres to (..., 2) pixels of the large canvas."""
        xyz = np.asarray(points, np.float64)
        pixels: Points = self.centre + (xyz[..., :2] - self.eye) * (self.focal / np.maximum(xyz[..., 2:], NEAR))
        return pixels

    def metre(self, z: float) -> float:
        """Pixels of the large canvas that a metre takes at distance z."""
        return float(self.focal[0]) / max(z, NEAR)

    def sees(self, thing: Thing) -> bool:
        """Whether any of a thing can be in the picture."""
        far = thing.z + thing.depth
        if far <= NEAR or thing.z >= SIGHT[thing.kind]:
            return False
        aside = abs(thing.x - self.world.shift) - thing.width / 2 - 1.5  # what sticks out: arms, shadows
        widest = max(float(self.centre[0]), self.image.shape[1] - float(self.centre[0]))
        return bool(aside * float(self.focal[0]) < far * widest)

    def shade(self, color: Color, z: float, factor: float = 1.0) -> Color:
        """Light and haze a daylight colour at distance z."""
        light = self.light
        clear = math.exp(-light.haze * max(z, 0.0))
        if light.night:
            factor *= 1 + 2.2 * math.exp(-(((z - 7) / 9) ** 2))  # headlights
        gain, rest = clear * factor * light.gain, 1 - clear
        (blue, green, red), tint, haze = color, light.tint, light.sky_low
        return (
            min(255.0, blue * gain * tint[0] + rest * haze[0]),
            min(255.0, green * gain * tint[1] + rest * haze[1]),
            min(255.0, red * gain * tint[2] + rest * haze[2]),
        )

    def fill(self, polygons: Points, color: Color, label: int, instance: int = 0) -> None:
        """Fill one polygon (N, 2) or several (K, N, 2) in picture and truth."""
        corners = self.paint(polygons, color)
        cv2.fillPoly(self.truth, corners, (label, instance), shift=SUBPIXEL)

    def paint(self, polygons: Points, color: Color) -> Sequence[npt.NDArray[np.int32]]:
        """Fill polygons in the picture only: detail that does not change the class. Returns the corners for cv2."""
        fixed = (polygons * (1 << SUBPIXEL)).round().astype(np.int32)
        corners = [fixed] if fixed.ndim == 2 else list(fixed)
        cv2.fillPoly(self.image, corners, color, shift=SUBPIXEL)
        return corners

    def finish(self, rng: np.random.Generator) -> Scene:
        """Bring everything down to size; lens and sensor blur the picture and make it noisy."""
        height, width = self.size
        image = cv2.resize(self.image, (width, height), interpolation=cv2.INTER_AREA)
        sigma = self.light.blur * height / 96
        if sigma > 0.2:
            image = cv2.GaussianBlur(image, (0, 0), sigma)
        noise = rng.standard_normal((height, width, 3), np.float32) * np.float32(self.light.noise)
        noisy = np.clip(image.astype(np.float32) + noise, 0, 255).astype(np.uint8)
        truth = self.truth[SCALE // 2 :: SCALE, SCALE // 2 :: SCALE]
        return Scene(noisy, truth[..., 0].astype(np.uint8), np.ascontiguousarray(truth[..., 1]))


def flat(canvas: Canvas, left: float, right: float, near: float, far: float) -> Points:
    """Project a rectangle that lies on the ground."""
    return canvas.project([[left, 0, near], [left, 0, far], [right, 0, far], [right, 0, near]])
