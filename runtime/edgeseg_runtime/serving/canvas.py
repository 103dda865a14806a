"""The memory in which a model's process and its parent hand over pictures and what the model says of them."""

from __future__ import annotations

from collections.abc import Sequence

from edgeseg_runtime.contract import Task
from edgeseg_runtime.preprocess import Image, Mask
from edgeseg_runtime.processes.memory import SharedMemory
from edgeseg_runtime.serving.objects import BYTES, ObjectPad

Size = tuple[int, int]
"""(height, width) of a model's input."""


class Canvas:
    """A picture and its mask, or its objects, at whichever of several sizes is in use.

    Both sides map it for themselves.
    """

    def __init__(self, memory: SharedMemory, sizes: Sequence[Size], task: Task) -> None:
        self.images: list[Image] = [memory.array((height, width, 3)) for height, width in sizes]
        """Views of the same memory, one for each size: uint8 (height, width, 3)."""
        self.masks: list[Mask] = []
        """The mask of each, uint8 (height, width); none for the task instance."""
        self.objects: ObjectPad | None = None
        """Of whichever picture; None for the task semantic."""
        if task == "instance":
            self.objects = ObjectPad(memory.array((BYTES,), offset=3 * _pixels(sizes)))
        else:
            self.masks = [memory.array((height, width), offset=3 * height * width) for height, width in sizes]

    @staticmethod
    def length(sizes: Sequence[Size], task: Task) -> int:
        """Return the bytes that the largest size takes."""
        return 3 * _pixels(sizes) + BYTES if task == "instance" else 4 * _pixels(sizes)


def _pixels(sizes: Sequence[Size]) -> int:
    return max(height * width for height, width in sizes)
