"""Whether a mask lies where its picture's edges are, or elsewhere, mirrored or turned.

Masks change class where pictures change colour, not always, but more often than elsewhere. The score of a mask is the
mean rank of the picture's gradient along the mask's borders, less that of a place picked at random: 0 says that the
two have nothing to do with each other, 0.5 is the most there can be. It is computed for the mask as it is, moved by up
to REACH thumbnail pixels (all at once, by Fourier transform), mirrored and turned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edgeseg.data.base import IGNORE
from edgeseg_runtime.preprocess import Image, Mask

SIDE = 160
"""Longer side of the thumbnails, in pixels; smaller pictures are not enlarged."""
REACH = 12
_MIN_BORDER = 24  # pixels; shorter ones say nothing

Floats = npt.NDArray[np.float32]
Turn = Callable[[Floats], Floats]

TURNS: dict[str, Turn] = {
    "mirrored left to right": lambda border: border[:, ::-1],
    "upside down": lambda border: border[::-1],
    "turned by 180°": lambda border: border[::-1, ::-1],
}
SQUARE_TURNS: dict[str, Turn] = {
    "turned by 90° to the left": lambda border: np.rot90(border, -1),
    "turned by 90° to the right": lambda border: np.rot90(border, 1),
}
"""What may have happened to a mask, and how to undo it; the second kind where the picture is square."""
TURNS_BACK = TURNS | SQUARE_TURNS
OTHERS = 3
"""Masks of other pictures that `own_gain` puts on each."""


@dataclass(frozen=True, eq=False)
class Alignment:
    """Scores of one mask."""

    moved: npt.NDArray[np.float16]
    """(2·REACH+1)² scores; [REACH + dy, REACH + dx] is that of the mask moved down by dy and right by dx."""
    turned: dict[str, float]
    pixel: tuple[float, float]
    """Size of a thumbnail pixel in pixels of the picture, down and across."""

    @property
    def score(self) -> float:
        """That of the mask as it is."""
        return float(self.moved[REACH, REACH])


def alignment(image: Image, mask: Mask) -> Alignment | None:
    """Score a mask against its picture; None where it has too little border to tell."""
    height, width = mask.shape
    scale = min(1.0, SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    if min(size) <= 2 * REACH:
        return None
    border = _border(_shrunk(mask, size))
    total = float(border.sum())
    if total < _MIN_BORDER:
        return None
    ranks = _gradient_ranks(cv2.resize(image, size, interpolation=cv2.INTER_AREA))  # type: ignore[arg-type]
    turns = TURNS_BACK if size[0] == size[1] else TURNS
    turned = {name: float((turn(border) * ranks).sum()) / total for name, turn in turns.items()}
    return Alignment((_moved(ranks, border) / total).astype(np.float16), turned, (height / size[1], width / size[0]))


def own_gain(pairs: Sequence[tuple[Image, Mask]], undo: Turn) -> npt.NDArray[np.float64]:
    """Return, for each picture, what `undo` gains for its own mask beyond what it gains for masks of other pictures.

    All are brought to the first one's thumbnail size. Masks with too little border are left out.
    """
    telling = [(border, rank) for border, rank in _borders_and_ranks(pairs) if border.sum() >= _MIN_BORDER]
    borders, ranks = [border / border.sum() for border, _ in telling], [rank for _, rank in telling]
    undone = [undo(border) - border for border in borders]
    gains = np.array(
        [
            [float((undone[(k + far) % len(ranks)] * rank).sum()) for far in range(OTHERS + 1)]
            for k, rank in enumerate(ranks)
        ]
    )
    return gains[:, 0] - gains[:, 1:].mean(1) if len(ranks) > OTHERS else np.zeros(0)


def every_fit(pairs: Sequence[tuple[Image, Mask]]) -> npt.NDArray[np.float64]:
    """Return the score of every mask on every picture, [picture, mask], as `own_gain` brings them together.

    A mask whose border is lost in the first picture's thumbnail has score 0.
    """
    borders, ranks = (np.reshape(found, (len(pairs), -1)) for found in zip(*_borders_and_ranks(pairs), strict=True))
    fits: npt.NDArray[np.float64] = (ranks @ borders.T / np.maximum(borders.sum(1), 1)).astype(np.float64)
    return fits


def _borders_and_ranks(pairs: Sequence[tuple[Image, Mask]]) -> list[tuple[Floats, Floats]]:
    """Return each mask's border and each picture's ranks of gradients, at the first picture's thumbnail size."""
    height, width = pairs[0][1].shape
    scale = min(1.0, SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return [
        (
            _border(_shrunk(mask, size)),
            _gradient_ranks(cv2.resize(image, size, interpolation=cv2.INTER_AREA)),  # type: ignore[arg-type]
        )
        for image, mask in pairs
    ]


def move(border: Floats, down: int, right: int) -> Floats:
    """Return the border moved; what leaves the picture is lost."""
    height, width = border.shape
    shift = np.array([[1, 0, right], [0, 1, down]], np.float32)
    return cv2.warpAffine(border, shift, (width, height), flags=cv2.INTER_NEAREST)  # type: ignore[return-value]


def _shrunk(mask: Mask, size: tuple[int, int]) -> Mask:
    return cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST)  # type: ignore[return-value]


def _border(mask: Mask) -> Floats:
    """Return 1 where a class meets another one; edges of ignored pixels are no class's."""
    border = np.zeros(mask.shape, np.float32)
    across = (mask[:, 1:] != mask[:, :-1]) & (mask[:, 1:] != IGNORE) & (mask[:, :-1] != IGNORE)
    down = (mask[1:] != mask[:-1]) & (mask[1:] != IGNORE) & (mask[:-1] != IGNORE)
    for part, found in ((border[:, 1:], across), (border[:, :-1], across), (border[1:], down), (border[:-1], down)):
        part[found] = 1
    return border


def _gradient_ranks(image: Image) -> Floats:
    """Return each pixel's rank by gradient, from -0.5 to 0.5; a pixel takes the largest of its neighbourhood."""
    steps = [cv2.Sobel(image, cv2.CV_32F, dx, dy).astype(np.float32) for dx, dy in ((1, 0), (0, 1))]
    strength = np.sqrt(sum(step**2 for step in steps)).max(2)
    wide = cv2.dilate(strength, np.ones((3, 3), np.uint8)).ravel()
    _, places, counts = np.unique(wide, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - counts / 2) / len(wide) - 0.5  # equal gradients share a rank
    return ranks[places].reshape(strength.shape).astype(np.float32)


def _moved(ranks: Floats, border: Floats) -> Floats:
    """Return the sum of ranks along the border moved by every (dy, dx) up to REACH; outside the picture ranks are 0."""
    padded = (ranks.shape[0] + REACH, ranks.shape[1] + REACH)
    product = np.fft.rfft2(ranks, padded) * np.conj(np.fft.rfft2(border, padded))
    sums = np.fft.irfft2(product, padded)
    window = np.arange(-REACH, REACH + 1)
    return sums[np.ix_(window, window)].astype(np.float32)  # negative moves stand at the end
