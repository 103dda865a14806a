"""Pictures full of rectangles, and somebody who finds them more or less."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgeseg.data.instances.base import Instance, InstanceSample
from edgeseg_runtime.contract import Contract, Label, Selection
from edgeseg_runtime.instances.paste import Patch
from edgeseg_runtime.instances.region import Region
from edgeseg_runtime.instances.result import InstanceResult
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.result import StageTimes

LABELS = (Label("cat", (200, 0, 0)), Label("dog", (0, 200, 0)), Label("bird", (0, 0, 200)))
CONTRACT = Contract(
    LABELS, 64, 64, task="instance", output="prototypes", selection=Selection(thresholds=(0.5,) * len(LABELS))
)


@dataclass(frozen=True)
class Guess:
    """An object that is said to be there."""

    label: int
    score: float
    region: Region


def rectangle(top: int, left: int, height: int, width: int) -> Region:
    return Region(top, left, np.ones((height, width), np.bool_))


class Scenes:
    """A data set held in memory; the first pixel of a picture says which one it is."""

    labels: tuple[Label, ...] = LABELS
    description = "pictures of a test"

    def __init__(self, pictures: Sequence[tuple[tuple[int, int], Sequence[Instance]]]) -> None:
        self.samples = []
        for number, (size, instances) in enumerate(pictures):
            image = np.zeros((*size, 3), np.uint8)
            image[0, 0] = number
            self.samples.append(InstanceSample(image, tuple(instances)))

    def __len__(self) -> int:
        return len(self.samples)

    def name(self, index: int) -> str:
        return str(index)

    def read(self, index: int) -> InstanceSample:
        return self.samples[index]


def result(guesses: Sequence[Guess], height: int, width: int) -> InstanceResult:
    """Return the guesses, the surest first, as a model's answer whose masks are pasted to exactly their regions."""
    ordered = sorted(guesses, key=lambda guess: -guess.score)
    boxes, patches = [], []
    for guess in ordered:
        top, left = guess.region.top, guess.region.left
        rows, columns = guess.region.inside.shape
        boxes.append((left, top, left + columns, top + rows))
        patches.append(Patch(guess.region.inside.astype(np.float32), left, top, columns, rows, 0.5))
    return InstanceResult(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array([guess.score for guess in ordered], np.float32),
        np.array([guess.label for guess in ordered], np.uint8),
        tuple(patches),
        height,
        width,
        CONTRACT,
        StageTimes(0, 0, 0),
    )


@dataclass(frozen=True)
class Guesser:
    """Says of each picture of `Scenes` what it was told to say."""

    guesses: Sequence[Sequence[Guess]]

    def __call__(self, frame: Image) -> InstanceResult:
        return result(self.guesses[int(frame[0, 0, 0])], frame.shape[0], frame.shape[1])


def truthful(scenes: Scenes) -> Guesser:
    return Guesser(
        [[Guess(one.label, 0.9, one.region) for one in sample.instances if not one.crowd] for sample in scenes.samples]
    )


def drawn(seed: int, pictures: int = 12) -> tuple[Scenes, Guesser]:
    """Return random scenes with crowds and empty pictures, and guesses that are right, shifted, doubled or wrong."""
    random = np.random.default_rng(seed)
    made, guesses = [], []
    for _ in range(pictures):
        height, width = (int(value) for value in random.integers(90, 260, 2))

        def somewhere(height: int = height, width: int = width) -> Region:
            rows, columns = (int(value) for value in random.integers(8, (height // 2, width // 2)))
            region = rectangle(
                int(random.integers(height - rows)), int(random.integers(width - columns)), rows, columns
            )
            region.inside[random.random((rows, columns)) < 0.1] = False
            return region

        count = int(random.integers(0, 6))
        objects = [Instance(int(random.integers(3)), somewhere(), bool(random.random() < 0.15)) for _ in range(count)]
        said = []
        for one in objects:
            for _ in range(int(random.integers(0, 3))):
                down, right = (int(value) for value in random.integers(-4, 5, 2))
                rows, columns = one.region.inside.shape
                top = min(max(0, one.region.top + down), height - rows)
                left = min(max(0, one.region.left + right), width - columns)
                label = one.label if random.random() < 0.9 else int(random.integers(3))
                said.append(
                    Guess(label, float(np.float32(random.integers(1, 40) / 40)), Region(top, left, one.region.inside))
                )
        said += [Guess(int(random.integers(3)), float(np.float32(random.random())), somewhere()) for _ in range(2)]
        made.append(((height, width), objects))
        guesses.append(said)
    return Scenes(made), Guesser(guesses)


def easy(pictures: int, seed: int) -> Scenes:
    """Return 64×64 scenes of two rectangles in their classes' colours: a network learns them in some thirty steps."""
    random = np.random.default_rng(seed)
    made = []
    for _ in range(pictures):
        objects = []
        for column in (1, 33):
            top, left = int(random.integers(2, 34)), column + int(random.integers(6))
            region = rectangle(top, left, int(random.integers(16, 28)), int(random.integers(16, 24)))
            objects.append(Instance(int(random.integers(3)), region))
        made.append(((64, 64), objects))
    scenes = Scenes(made)
    for sample in scenes.samples:
        sample.image[:] = random.integers(90, 110, sample.image.shape)
        for one in sample.instances:
            rows, columns = one.region.inside.shape
            place = sample.image[one.region.top :, one.region.left :]
            place[:rows, :columns] = LABELS[one.label].color[::-1]
    return scenes
