"""What a model might say of a clip whose truth is known: the truth itself, or scores that are wrong in a stated way."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from edgeseg_bench.temporal_clips import NO_CLASS, Clip
from edgeseg_runtime.decode import Scores
from edgeseg_runtime.preprocess import Mask


@dataclass(frozen=True)
class NoiseModel:
    """Scores of a cell: `gain` × the share of each class in it + noise, all in log-odds.

    The noise has unit variance × `sigma`², is smooth over `blur` cells, and `memory` of it comes along the true motion
    from the frame before, for a model's errors stick to things more than they dance.
    """

    cell: int = 8
    """Side in pixels."""
    gain: float = 4.0
    sigma: float = 1.6
    blur: float = 1.5
    memory: float = 0.8
    seed: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


def filled(truth: Mask) -> Mask:
    """Return the truth with the nearest class where none is known: a model always says one."""
    unknown = (truth == NO_CLASS).astype(np.uint8)
    if not unknown.any() or unknown.all():
        return np.where(unknown, 0, truth).astype(np.uint8)
    _, nearest = cv2.distanceTransformWithLabels(unknown, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    table = np.zeros(int(nearest.max()) + 1, np.uint8)
    table[nearest[unknown == 0]] = truth[unknown == 0]
    return table[nearest]


def noisy_scores(clip: Clip, model: NoiseModel) -> list[Scores]:
    """Return float32 (classes, h, w) scores of every frame: the same for the same clip, model and seed."""
    rng, classes = np.random.default_rng(model.seed), len(clip.names)
    height, width = clip.frames[0].shape[:2]
    shape = -(-height // model.cell), -(-width // model.cell)
    noise: npt.NDArray[np.float32] | None = None
    scores = []
    for index, truth in enumerate(clip.truths):
        fresh = np.stack([_smooth_noise(rng, shape, model.blur) for _ in range(classes)])
        if noise is None:
            noise = fresh
        else:
            carried = np.stack([_carried(plane, clip.fields[index - 1]) for plane in noise])
            noise = model.memory * carried + np.sqrt(1 - model.memory**2) * fresh
        share = np.stack([_share(filled(truth) == label, shape) for label in range(classes)])
        scores.append((model.gain * share + model.sigma * noise).astype(np.float32))
    return scores


def _smooth_noise(rng: np.random.Generator, shape: tuple[int, int], blur: float) -> npt.NDArray[np.float32]:
    """Return Gaussian noise of unit variance, smooth over `blur` cells."""
    kernel = cv2.getGaussianKernel(2 * int(3 * blur) + 1, blur)
    margin = len(kernel) // 2
    white = rng.normal(0, 1, (shape[0] + 2 * margin, shape[1] + 2 * margin))
    smooth = cv2.sepFilter2D(white, -1, kernel, kernel)[margin:-margin, margin:-margin]
    return (smooth / (kernel**2).sum()).astype(np.float32)  # type: ignore[no-any-return]


def _carried(plane: npt.NDArray[np.float32], field: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    rows, columns = plane.shape
    scale = np.array([columns / field.shape[1], rows / field.shape[0]], np.float32)
    cells = cv2.resize(field, (columns, rows), interpolation=cv2.INTER_AREA) * scale
    grid = np.mgrid[:rows, :columns].astype(np.float32)
    where = cells + np.dstack([grid[1], grid[0]])
    # the nearest cell: blending cells would make the noise weaker as it moves
    moved: npt.NDArray[np.float32] = cv2.remap(plane, where, None, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT)  # type: ignore[call-overload]
    return moved


def _share(where: npt.NDArray[np.bool_], shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    return cv2.resize(where.astype(np.float32), shape[::-1], interpolation=cv2.INTER_AREA)  # type: ignore[return-value]
