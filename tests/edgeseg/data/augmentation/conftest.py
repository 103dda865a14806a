"""Pictures that show their masks, and a set of them to mix with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from edgeseg.data.augmentation.pair import Pair
from edgeseg.data.rare import RareClasses
from edgeseg_runtime.contract import Contract, Label

HEIGHT, WIDTH = 72, 96
IGNORE = 255


@pytest.fixture(scope="session")
def contract() -> Contract:
    """Two classes at 72×96; what is outside is (51, 102, 153)."""
    labels = (Label("dark", (0, 0, 0)), Label("bright", (255, 255, 255)))
    return Contract(labels, HEIGHT, WIDTH, mean=(0.2, 0.4, 0.6))


Encoded = Callable[[int], Pair]


@pytest.fixture(scope="session")
def encoded() -> Encoded:
    """Return a function from a seed to a mask of large blobs of 0 and 1 and a picture that shows it: 60 and 180."""

    def make(seed: int) -> Pair:
        noise = np.random.default_rng(seed).standard_normal((HEIGHT, WIDTH))
        mask = (cv2.GaussianBlur(noise, (0, 0), 8) > 0).astype(np.uint8)
        return Pair(np.repeat((60 + 120 * mask)[..., None], 3, 2).astype(np.uint8), mask)

    return make


@pytest.fixture(scope="session")
def smooth() -> npt.NDArray[np.uint8]:
    """A smooth colourful picture, 72×96."""
    noise = np.random.default_rng(7).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.float64)
    blurred = cv2.GaussianBlur(noise, (0, 0), 4)
    return np.asarray(cv2.normalize(blurred, blurred, 0, 255, cv2.NORM_MINMAX)).astype(np.uint8)


@dataclass
class Shelf:
    """An album of pictures that are their masks: all three channels hold the label. Remembers what was asked for."""

    pairs: list[Pair]
    classes: int = 4
    asked: list[int] = field(default_factory=list)

    @property
    def rare(self) -> RareClasses:
        """Counted from the masks."""
        counts = [np.bincount(pair.mask.ravel(), minlength=256)[: self.classes] for pair in self.pairs]
        return RareClasses.of(np.array(counts), HEIGHT * WIDTH, 0.1)

    def __len__(self) -> int:
        return len(self.pairs)

    def picture(self, index: int) -> Pair:
        """Return a picture."""
        self.asked.append(index)
        return self.pairs[index]


@pytest.fixture
def shelf() -> Shelf:
    """Six pictures of vertical stripes of the classes 0..3 and ignore, each shifted, 3 only in the last."""
    pairs = []
    for index in range(6):
        mask = np.empty((HEIGHT, WIDTH), np.uint8)
        mask[:] = (np.arange(WIDTH) // 12 + index) % 3
        mask[:, :4] = IGNORE
        if index == 5:
            mask[30:40, 50:70] = 3
        pairs.append(Pair(np.repeat(mask[..., None], 3, 2), mask))
    return Shelf(pairs)


@pytest.fixture(scope="session")
def nobody() -> Shelf:
    """No pictures, for what mixes none."""
    return Shelf([])
