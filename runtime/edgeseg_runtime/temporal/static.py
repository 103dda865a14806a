"""Tell whether anything has changed since the model last ran."""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np
import numpy.typing as npt

from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.temporal.thumbnail import Thumbnail

Energies = npt.NDArray[np.float32]
"""float32 rows×columns: mean squared difference in each tile, in squared grey levels."""

TILE = 4
"""Side of a tile in thumbnail pixels: small, so that a small thing that moves is not averaged away."""

THRESHOLD = 4.0
"""Times its noise that a tile's energy must reach to count as changed. A tile has 48 values; as neighbouring pixels
and the colours share some noise, they weigh like about 16, and 16 exceed 4 times their mean energy once in a million
tiles by chance (chi-squared)."""

ROUNDING = 0.25
"""Energy that rounding to whole grey levels may cause on its own: the least that is called noise."""

LOUDEST = 72.0
"""Energy, of a standard deviation of 6 grey levels in both pictures, above which it is not noise but motion."""

OVER_MEDIAN = 8.0
"""Times the noise of the median tile that one tile's may reach: an edge in compressed video is noisier than a wall, but
a tile in which something moves all the time is not to be taken for a noisy one."""

NOISE_LAG_S = 1.0
"""Seconds between the pictures whose difference tells the noise. Compressed video repeats a frame's noise in the frames
that follow; pictures a second apart have noise of their own. What moves steadily grows past this difference."""

SAMPLES_A_LAG = 4
"""Noise samples taken within NOISE_LAG_S."""

LEAST_SAMPLES, MOST_SAMPLES = 4, 64
"""Samples needed before anything is called unchanged; samples remembered (16 seconds)."""

QUIET_QUANTILE = 0.25
"""Of a tile's samples, in order, the one taken as its noise: right while it was quiet a quarter of the time."""


class StaticScene:
    """Compares with the frame that was last *inferred*, never with the last one seen, or slow drift would be missed.

    The noise of the camera is measured, tile by tile, from what it sends. Until that is done (two seconds), and
    whenever in doubt, everything counts as changed. A change of lighting is a change.
    """

    def __init__(self, refresh_s: float = 1.0) -> None:
        """`refresh_s`: seconds after an inference at which a frame counts as changed in any case.

        Raises ConfigError unless it is above 0.
        """
        if not refresh_s > 0:
            raise ConfigError(f"refresh_s must be above 0 seconds, got {refresh_s}")
        self.refresh_s = refresh_s
        self._reference: Thumbnail | None = None
        self._inferred_at = 0.0
        self._noise = Noise()

    def changed(self, picture: Thumbnail, now: float) -> bool:
        """Return whether the frame must be inferred. `now`: when it was captured, seconds (`time.monotonic`).

        To be asked for every frame, in order: the noise is measured on the way.
        """
        self._noise.observe(picture, now)
        if self._reference is None or self._reference.shape != picture.shape:
            return True
        limit = self._noise.limit()
        if limit is None or now - self._inferred_at >= self.refresh_s:
            return True
        return bool((energies(picture, self._reference) > limit).any())

    def inferred(self, picture: Thumbnail, now: float) -> None:
        """Say that the frame captured at `now` has a mask of its own: later ones are compared with it."""
        self._reference, self._inferred_at = picture, now

    def reset(self) -> None:
        """Forget the frame and the noise: the next frame counts as changed."""
        self._reference, self._noise = None, Noise()


class Noise:
    """How much a camera's pictures differ where nothing happens."""

    def __init__(self) -> None:
        self._recent: deque[tuple[float, Thumbnail]] = deque()
        self._samples: deque[Energies] = deque(maxlen=MOST_SAMPLES)
        self._limit: Energies | None = None

    def observe(self, picture: Thumbnail, now: float) -> None:
        """Take a sample if it is time for one."""
        recent = self._recent
        if recent and recent[-1][1].shape != picture.shape:
            recent.clear()
            self._samples.clear()
            self._limit = None
        # a little early is in time: cameras are not exactly regular
        if recent and now - recent[-1][0] < 0.9 * NOISE_LAG_S / SAMPLES_A_LAG:
            return
        recent.append((now, picture))
        if len(recent) <= SAMPLES_A_LAG:
            return
        self._samples.append(energies(picture, recent.popleft()[1]))
        if len(self._samples) >= LEAST_SAMPLES:
            self._limit = THRESHOLD * noise_of(np.stack(self._samples))

    def limit(self) -> Energies | None:
        """Return the energy of each tile above which it has changed; None while too little was seen."""
        return self._limit


def energies(one: Thumbnail, other: Thumbnail) -> Energies:
    """Return the mean squared difference of two thumbnails in each tile, float32 rows×columns, grey levels squared."""
    height, width = one.shape[:2]
    difference = cv2.absdiff(one, other)
    squared = cv2.multiply(difference, difference, dtype=cv2.CV_32F)
    grid = (-(-width // TILE), -(-height // TILE))
    tiles = cv2.resize(squared, grid, interpolation=cv2.INTER_AREA)
    return cv2.transform(tiles, np.full((1, 3), 1 / 3, np.float32))  # type: ignore[return-value]


def noise_of(samples: Energies) -> Energies:
    """Return the noise energy of each tile from (n, rows, columns) samples of it."""
    place = int(QUIET_QUANTILE * (len(samples) - 1))
    quiet = np.partition(samples, place, axis=0)[place]
    loudest = min(LOUDEST, OVER_MEDIAN * max(float(np.median(quiet)), ROUNDING))
    return np.clip(quiet, ROUNDING, loudest)  # type: ignore[no-any-return]
