"""A model's lane in a few lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from edgeseg_runtime.preprocess import Image


class OneByOne:
    """Says what a function says of each frame."""

    def __init__(self, run: Callable[[Image], Any]) -> None:
        self._run = run

    def each(self, frames: Sequence[Image]) -> list[Any]:
        return [self._run(frame) for frame in frames]
