"""Play a clip with temporal tricks on, and measure what becomes of its masks and what the tricks cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from time import process_time
from typing import Any, Literal

from edgeseg_bench.floors import one_opencv_thread
from edgeseg_bench.temporal_clips import NO_CLASS, Clip
from edgeseg_bench.temporal_metrics import Consistency, Origins
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.decode import Scores
from edgeseg_runtime.metrics import ConfusionMatrix
from edgeseg_runtime.preprocess import Image, Mask
from edgeseg_runtime.temporal.hysteresis import LabelSmoother
from edgeseg_runtime.temporal.smooth import ScoreSmoother
from edgeseg_runtime.temporal.static import StaticScene
from edgeseg_runtime.temporal.thumbnail import Thumbnail, thumbnail
from edgeseg_runtime.temporal.warp import Warp

Smoothing = Literal["no", "scores", "scores, no motion", "labels", "labels, no motion"]

LONG = 1e9
"""Seconds: keyframes here are as old as `every` makes them."""


@dataclass(frozen=True)
class Trick:
    """What is done to a clip."""

    every: int = 1
    """Frames from one inference to the next; between them the newest mask is held, or carried."""
    warp: bool = False
    smooth: Smoothing = "no"
    skip: bool = False
    """Infer only what has changed."""

    @property
    def name(self) -> str:
        """What tables call it."""
        parts = [f"smooth {self.smooth}"] if self.smooth != "no" else []
        parts += ["skip static"] if self.skip else []
        between = "warp" if self.warp else "hold"
        if self.every > 1:
            parts.append(f"{between} every {self.every}")
        elif self.skip:
            parts.append(between)
        return " + ".join(parts) or "off"


@dataclass(frozen=True)
class Outputs:
    """What a model says of every frame, and how its scores become masks."""

    contract: Contract
    masks: Sequence[Mask]
    scores: Sequence[Scores] | None = None
    decode: Callable[[Scores], Mask] | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of a clip."""

    clip: str
    trick: str
    frames: int
    inferred: float
    """Share of the frames."""
    mean_iou: float
    """Against the truth."""
    consistency: float
    flicker: float
    trick_ms: float
    """Core-milliseconds a frame that the tricks cost, the thumbnail included, the model not, on one thread."""

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values, rounded."""
        return {name: round(value, 5) if isinstance(value, float) else value for name, value in asdict(self).items()}


class Player:
    """Puts tricks together as a live stream does: one thumbnail a frame, smoothing where inferred, then carrying."""

    def __init__(self, trick: Trick, outputs: Outputs, clock: Callable[[], float] = process_time) -> None:
        self.trick, self._outputs, self._clock = trick, outputs, clock
        self._static = StaticScene() if trick.skip else None
        self._warp = Warp(max_age_s=LONG) if trick.warp else None
        motion = not trick.smooth.endswith("no motion")
        self._scores = self._labels = None
        if trick.smooth.startswith("scores"):
            self._scores = ScoreSmoother(outputs.contract, motion=motion)
        elif trick.smooth.startswith("labels"):
            self._labels = LabelSmoother(motion=motion)
        self._mask: Mask | None = None
        self.inferred = 0
        self.seconds = 0.0

    def show(self, index: int, image: Image, now: float) -> Mask:
        """Return the mask shown on frame `index`."""
        if self.trick == Trick():
            self.inferred += 1
            return self._outputs.masks[index]
        started = self._clock()
        picture = thumbnail(image) if self._needs_picture else image
        wanted = index % self.trick.every == 0 and (self._static is None or self._static.changed(picture, now))
        if wanted:
            self._infer(index, picture, now)
        elif self._warp is not None:
            self._mask = self._warp.carry(picture, now)
        self.seconds += self._clock() - started
        assert self._mask is not None
        return self._mask

    @property
    def _needs_picture(self) -> bool:
        return self.trick.warp or self.trick.skip or self.trick.smooth != "no"

    def _infer(self, index: int, picture: Thumbnail, now: float) -> None:
        self.inferred += 1
        mask = self._outputs.masks[index]
        if self._scores is not None:
            assert self._outputs.scores is not None and self._outputs.decode is not None
            scores = self._scores.smooth(self._outputs.scores[index], picture, now)
            before_decoding = self._clock()
            mask = self._outputs.decode(scores)
            self.seconds -= self._clock() - before_decoding  # the model's own to pay
        elif self._labels is not None:
            mask = self._labels.smooth(mask, picture, now)
        self._mask = mask
        if self._warp is not None:
            self._warp.keyframe(picture, mask, now)
        if self._static is not None:
            self._static.inferred(picture, now)


def play(clip: Clip, outputs: Outputs, trick: Trick, where: Sequence[Origins]) -> Outcome:
    """Play a clip through; `where` is `clip.origins`, which takes a while to make."""
    player, before = Player(trick, outputs), None
    accuracy, steady = ConfusionMatrix(len(clip.names), NO_CLASS), Consistency(len(clip.names), NO_CLASS)
    with one_opencv_thread():
        for index, (image, truth) in enumerate(zip(clip.frames, clip.truths, strict=True)):
            mask = player.show(index, image, index / clip.fps)
            accuracy.update(truth, mask)
            if before is not None:
                steady.update((before, mask), (clip.truths[index - 1], truth), where[index - 1])
            before = mask
    count = len(clip.frames)
    return Outcome(
        clip=clip.name,
        trick=trick.name,
        frames=count,
        inferred=player.inferred / count,
        mean_iou=accuracy.compute().mean_iou,
        consistency=steady.consistency,
        flicker=steady.flicker,
        trick_ms=1e3 * player.seconds / count,
    )
