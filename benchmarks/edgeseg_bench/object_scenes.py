"""Made-up outputs of models of objects: many of random sizes at random places of one frame."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeseg_runtime.contract import Contract, Label, Output, Selection, voc_color
from edgeseg_runtime.instances.decode import InstanceDecoder

HEIGHT, WIDTH, INPUT, CLASSES = 720, 1280, 320, 3
SCENES = {"crowd": (16, 320), "large": (60, 400)}
"""Shortest and longest side of objects in pixels; the logarithm of sides is uniform."""

Floats = npt.NDArray[np.float32]


def decoder(output: Output) -> InstanceDecoder:
    """Return the decoder of a model with such outputs."""
    labels = tuple(Label(f"class {index}", voc_color(index + 1)) for index in range(CLASSES))
    selection = Selection((0.25,) * CLASSES)
    return InstanceDecoder(Contract(labels, INPUT, INPUT, task="instance", output=output, selection=selection))


def scene_boxes(rng: np.random.Generator, count: int, sides: tuple[int, int]) -> Floats:
    """Return (count, 4) boxes that lie in the frame."""
    shortest, longest = np.log(sides)
    sizes = np.exp(rng.uniform(shortest, longest, (count, 2)))
    corners = rng.random((count, 2)) * (np.array([WIDTH, HEIGHT]) - sizes)
    return np.concatenate([corners, corners + sizes], 1).astype(np.float32)


def detections(rng: np.random.Generator, boxes: Floats) -> tuple[npt.NDArray[Any], ...]:
    """Return the outputs of a model that found each box once, with a blob of random width and height in its mask."""
    count = len(boxes)
    centres = (np.arange(28) + 0.5) / 28 * 2 - 1
    spread = rng.uniform(0.5, 1.2, (2, count, 1))
    across, down = np.exp(-((centres / spread) ** 2))
    masks = down[:, :, None] * across[:, None] + rng.normal(0, 0.05, (count, 28, 28))
    scores = -np.sort(-rng.uniform(0.3, 1, count))
    return to_input(boxes), rng.integers(0, CLASSES, count), scores.astype(np.float32), masks.astype(np.float32)


def prototypes(rng: np.random.Generator, boxes: Floats, cells: int = 80, number: int = 32) -> tuple[Floats, ...]:
    """Return the outputs of a net of three strides with three sure candidates for each box among the unsure ones."""
    candidates = sum((INPUT // stride) ** 2 for stride in (8, 16, 32))
    sure = np.repeat(to_input(boxes), 3, 0) + rng.normal(0, 0.2, (3 * len(boxes), 4)).astype(np.float32)
    rest = rng.uniform(0, INPUT, (max(0, candidates - len(sure)), 4)).astype(np.float32)
    scores = np.full((len(sure) + len(rest), CLASSES), 0.01, np.float32)
    scores[np.arange(len(sure)), rng.integers(0, CLASSES, len(boxes)).repeat(3)] = rng.uniform(0.3, 1, len(sure))
    coefficients = rng.normal(size=(len(scores), number)).astype(np.float32)
    planes = rng.normal(size=(number, cells, cells)).astype(np.float32)
    return np.concatenate([sure, rest]), scores, coefficients, planes


def moving(rng: np.random.Generator, boxes: Floats, frames: int, fps: float) -> Iterator[Floats]:
    """Yield the boxes of each frame: each goes its way at up to a quarter of its side a second, and trembles."""
    sides = boxes[:, 2:] - boxes[:, :2]
    speeds = rng.uniform(-0.25, 0.25, sides.shape) * sides
    for index in range(frames):
        shifts = speeds * index / fps + rng.normal(0, 0.01, sides.shape) * sides
        yield (boxes + np.tile(shifts, 2)).astype(np.float32)


def to_input(boxes: Floats) -> Floats:
    """Return boxes of the frame in pixels of the model's input."""
    return boxes * np.array([INPUT / WIDTH, INPUT / HEIGHT] * 2, np.float32)
