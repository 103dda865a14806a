"""How alike pictures are: small fingerprints of each, compared all with all.

A fingerprint survives another encoder, size, brightness or contrast, and a small crop or shift; two pictures of the
same place and time differ less than two of the same kind of place. Measured on street scenes, people and clips:
independent pictures correlate below 0.9 (32×32 grey, millions of pairs), copies and neighbouring frames above 0.95.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edgeseg_runtime.preprocess import Image

COARSE, FINE = 8, 32
"""Sides of the colour thumbnail that finds candidates, and of the grey one that decides."""
ALIKE_COARSE, ALIKE = 0.97, 0.95
"""Correlations from which two pictures are nearly the same."""
CLOSER = 0.1
"""Share of the usual distance (1 less the correlation) below which they must be, too: pictures of one fixed camera are
all alike, and only those that are much more so are the same."""
_SAMPLED, _MIN_SAMPLE = 400, 8
_BLOCK = 1024
_FLAT = 1.0  # grey levels of standard deviation; below there is nothing to compare

Vector = npt.NDArray[np.float32]
Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """What is kept of a picture."""

    digest: bytes
    """Of its pixels and size: the same pixels, the same digest."""
    coarse: Vector
    """COARSE²·3 values of mean 0 and length 1; zeros where the picture is flat."""
    fine: npt.NDArray[np.uint8]
    """FINE×FINE grey."""


def fingerprint(image: Image) -> Fingerprint:
    """Return a picture's fingerprint."""
    digest = hashlib.blake2b(repr(image.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(image).data)
    # In two steps: the mean of every pixel once, not twice.
    fine = cv2.resize(image, (FINE, FINE), interpolation=cv2.INTER_AREA)
    coarse = cv2.resize(fine, (COARSE, COARSE), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(fine, cv2.COLOR_BGR2GRAY)
    return Fingerprint(digest.digest(), _unit(coarse), grey)  # type: ignore[arg-type]


def correlation(first: Fingerprint, second: Fingerprint) -> float:
    """Return how alike two pictures are: 1 the same but for brightness and contrast, 0 nothing in common."""
    return float(_unit(first.fine) @ _unit(second.fine))


def twins(prints: Sequence[Fingerprint]) -> Iterator[tuple[int, Indices]]:
    """Yield, for each picture that has any, the later ones that are nearly the same, or nearly its mirror image.

    All are compared with all, by matrix products: 20 000 pictures take seconds, 100 000 minutes.
    """
    if not prints:
        return
    limit = 1 - min(1 - ALIKE, CLOSER * usual_distance(prints)) if len(prints) >= _MIN_SAMPLE else ALIKE
    coarse = np.stack([each.coarse for each in prints])
    turned = coarse.reshape(-1, COARSE, COARSE, 3)[:, :, ::-1].reshape(coarse.shape)
    fine = np.stack([each.fine for each in prints])
    for start in range(0, len(prints), _BLOCK):
        later, rows = coarse[start:].T, slice(start, start + _BLOCK)
        block = np.triu((coarse[rows] @ later >= ALIKE_COARSE) | (turned[rows] @ later >= ALIKE_COARSE), 1)
        for row in np.flatnonzero(block.any(1)):
            i = start + int(row)
            candidates = start + np.flatnonzero(block[row])
            either = np.stack([_unit(fine[i]), _unit(fine[i][:, ::-1])], 1)
            if len(found := candidates[(_units(fine[candidates]) @ either).max(1) >= limit]):
                yield i, found


def usual_distance(prints: Sequence[Fingerprint]) -> float:
    """Return 1 less the correlation of two pictures that are not neighbours in order, in the median of a sample."""
    rng = np.random.default_rng(len(prints))
    first, second = rng.integers(0, max(1, len(prints)), (2, _SAMPLED))
    apart = np.abs(first - second) > 1
    pairs = zip(first[apart], second[apart], strict=True)
    distances = [1 - correlation(prints[a], prints[b]) for a, b in pairs if prints[a].digest != prints[b].digest]
    return float(np.median(distances)) if distances else 1.0


class Groups:
    """Puts pictures 0..count-1 that belong together into groups, a few million joins a second."""

    def __init__(self, count: int) -> None:
        self._group = np.arange(count)

    def join(self, one: int, others: npt.ArrayLike) -> None:
        """Put a picture, others and all that are with them into one group."""
        met = np.unique(self._group[np.append(others, one).astype(np.intp)])
        if len(met) > 1:
            self._group[np.isin(self._group, met)] = met[0]

    def __iter__(self) -> Iterator[list[int]]:
        """Yield the groups, singles included, each in order."""
        order = np.argsort(self._group, kind="stable")
        starts = np.flatnonzero(np.diff(self._group[order])) + 1
        return (part.tolist() for part in np.split(order, starts) if len(part))


def _unit(values: npt.ArrayLike) -> Vector:
    unit: Vector = _units(np.asarray(values)[None])[0]
    return unit


def _units(values: npt.NDArray[np.generic]) -> Vector:
    """Return each picture's values with mean 0 and length 1, or zeros where it is flat."""
    flat = values.reshape(len(values), int(np.prod(values.shape[1:]))).astype(np.float32)
    flat -= flat.mean(1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    seen = length > _FLAT * flat.shape[1] ** 0.5
    return np.where(seen, flat / np.where(seen, length, 1), 0).astype(np.float32)
