"""The memory in which a model's process and its parent hand over pictures and masks."""

from __future__ import annotations

from collections.abc import Sequence

from edgeseg_runtime.preprocess import Image, Mask
from edgeseg_runtime.processes.memory import SharedMemory

Size = tuple[int, int]
"""(height, width) of a model's input."""


class Canvas:
    """A picture and its mask, at whichever of several sizes is in use. Both sides map it for themselves."""

    def __init__(self, memory: SharedMemory, sizes: Sequence[Size]) -> None:
        self.images: list[Image] = [memory.array((height, width, 3)) for height, width in sizes]
        """Views of the same memory, one for each size: uint8 (height, width, 3)."""
        self.masks: list[Mask] = [memory.array((height, width), offset=3 * height * width) for height, width in sizes]
        """The mask of each, uint8 (height, width)."""

    @staticmethod
    def length(sizes: Sequence[Size]) -> int:
        """Return the bytes that the largest size takes."""
        return max(4 * height * width for height, width in sizes)
