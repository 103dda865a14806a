"""Video with the truth of every frame, and what is made of it: a camera that stands still, one that creeps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from edgeseg_bench.temporal_metrics import Field, Origins, origins
from edgeseg_runtime.errors import DatasetError
from edgeseg_runtime.preprocess import Image, Mask

NO_CLASS = 255
CAMVID = (
    *("Sky", "Building", "Pole", "Road", "Pavement", "Tree"),
    *("SignSymbol", "Fence", "Car", "Pedestrian", "Bicyclist"),
)
CAMVID_VOID, CAMVID_FPS = 11, 15.0
DAVIS, DAVIS_FPS = ("background", "object"), 24.0


@dataclass(frozen=True, eq=False)
class Clip:
    """Consecutive frames of one size."""

    name: str
    names: tuple[str, ...]
    """Of the classes, by index."""
    fps: float
    frames: list[Image]
    """uint8 H×W×3, BGR."""
    truths: list[Mask]
    """uint8 H×W, NO_CLASS where the truth is not known."""
    fields: list[Field]
    """The motion of each frame but the first since the one before, by the search's best preset at full size: finer than
    what `edgeseg_runtime.temporal` works with, so that no trick is judged by its own flow."""

    @property
    def origins(self) -> list[Origins]:
        """Where each frame's pixels were in the frame before, from the second frame on."""
        return [origins(field) for field in self.fields]


def make_clip(name: str, names: tuple[str, ...], fps: float, frames: list[Image], truths: list[Mask]) -> Clip:
    """Measure the motion of a clip. Raises DatasetError unless there is a truth of its frame's size for each frame."""
    if len(frames) < 2 or [frame.shape[:2] for frame in frames] != [truth.shape for truth in truths]:
        raise DatasetError(f"{name}: {len(frames)} frames and {len(truths)} masks do not make a clip")
    return Clip(name, names, fps, frames, truths, list(motion(frames)))


def motion(frames: list[Image]) -> Iterator[Field]:
    """Yield the motion of each frame since the one before, float32 H×W×2, from the second frame on."""
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    grays = [cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY) for frame in frames]
    for before, current in pairwise(grays):
        yield search.calc(current, before, np.zeros((*current.shape, 2), np.float32))  # type: ignore[misc]


def camvid_clip(data: Path) -> Clip:
    """Read CamVid's validation split, which is one drive of 101 frames. Raises DatasetError."""
    frames = [_picture(path) for path in _files(data / "camvid" / "val", "*.png")]
    truths = [_mask(path) for path in _files(data / "camvid" / "valannot", "*.png")]
    truths = [np.where(truth == CAMVID_VOID, NO_CLASS, truth).astype(np.uint8) for truth in truths]
    return make_clip("camvid-val", CAMVID, CAMVID_FPS, frames, truths)


def davis_clips(data: Path) -> Iterator[Clip]:
    """Read the sequences of DAVIS-2016 that are there. Raises DatasetError."""
    folders = sorted((data / "davis" / "JPEGImages").glob("*"))
    if not folders:
        raise DatasetError(f"{data / 'davis'} holds no sequences; set EDGESEG_DATA to the folder that holds davis")
    for folder in folders:
        frames = [_picture(path) for path in _files(folder, "*.jpg")]
        truths = [_mask(path) for path in _files(data / "davis" / "Annotations" / folder.name, "*.png")]
        truths = [(truth > 127).astype(np.uint8) for truth in truths]
        yield make_clip(f"davis-{folder.name}", DAVIS, DAVIS_FPS, frames, truths)


def standing(clip: Clip, seconds: float, speed: float, sigma: float, seed: int) -> Clip:
    """Return a clip of the first frame alone, moving by `speed` pixels a second, with Gaussian noise of `sigma`."""
    rng, name = np.random.default_rng(seed), "still" if speed == 0 else "drift"
    image, truth = clip.frames[0], clip.truths[0]
    size, frames, truths = image.shape[1::-1], [], []
    for index in range(round(seconds * clip.fps)):
        move = np.array([[1, 0, -speed * index / clip.fps], [0, 1, 0]], np.float32)
        moved = cv2.warpAffine(image, move, size, borderMode=cv2.BORDER_REPLICATE)
        frames.append(np.clip(np.rint(moved + rng.normal(0, sigma, image.shape)), 0, 255).astype(np.uint8))
        truths.append(cv2.warpAffine(truth, move, size, flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE))
    field = np.zeros((*truth.shape, 2), np.float32)
    field[..., 0] = speed / clip.fps
    return Clip(f"{clip.name}-{name}", clip.names, clip.fps, frames, truths, [field] * (len(frames) - 1))  # type: ignore[arg-type]


def _files(folder: Path, pattern: str) -> list[Path]:
    found = sorted(folder.glob(pattern))
    if not found:
        raise DatasetError(f"there is no {pattern} in {folder}; set EDGESEG_DATA to the folder that holds the data")
    return found


def _picture(path: Path) -> Image:
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise DatasetError(f"{path} is not a picture")
    return picture  # type: ignore[return-value]


def _mask(path: Path) -> Mask:
    mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if mask is None or mask.ndim != 2:
        raise DatasetError(f"{path} is not a mask of one channel")
    return mask  # type: ignore[return-value]
