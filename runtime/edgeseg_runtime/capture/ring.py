"""The newest frames of a camera, in memory that its worker and the parent share.

Layout: SLOTS records of one int64 sequence number each, then SLOTS pictures. A slot's number is the frame's, or EMPTY
while the slot is not to be read. The worker marks the *next* slot empty before it tells the parent of a frame: so the
mark is out, by way of the socket, long before the slot is written to, on machines that reorder writes too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeseg_runtime.processes.memory import SharedMemory

if TYPE_CHECKING:
    from edgeseg_runtime.preprocess import Image

SLOTS = 4
EMPTY = -1
MOST_PIXELS = 64_000_000
"""Of a picture: twice those of 8K video. A stream that asks for more is broken, or means harm."""
_HEADER = 64
"""Bytes before the pictures: the numbers, up to a cache line."""


class Ring:
    """One side's view of it. `fd` is to be passed on, and may be closed once it has been."""

    def __init__(self, memory: SharedMemory, size: tuple[int, int]) -> None:
        """View `memory` as a ring of uint8 H×W×3 pictures. Raises ValueError where they do not fit."""
        self.memory, self.size = memory, size
        self._numbers = memory.array((SLOTS,), "int64")
        self._pictures = memory.array((SLOTS, *size, 3), offset=_HEADER)

    @classmethod
    def create(cls, size: tuple[int, int]) -> Ring:
        """Make an empty ring. Raises OSError where there is no memory."""
        ring = cls(SharedMemory.create(cls.bytes(size)), size)
        ring._numbers[:] = EMPTY
        return ring

    @staticmethod
    def bytes(size: tuple[int, int]) -> int:
        """Size in memory of a ring of H×W pictures."""
        return _HEADER + SLOTS * size[0] * size[1] * 3

    def write(self, number: int, image: Image) -> None:
        """Put a frame into its slot, and take the next slot's away."""
        slot = number % SLOTS
        self._numbers[slot] = EMPTY
        self._pictures[slot] = image
        self._numbers[slot] = number
        self._numbers[(number + 1) % SLOTS] = EMPTY

    def read(self, number: int) -> Image | None:
        """Copy a frame out; None where it has been overwritten, before or meanwhile."""
        slot = number % SLOTS
        if self._numbers[slot] != number:
            return None
        image = self._pictures[slot].copy()
        return image if self._numbers[slot] == number else None

    def close(self) -> None:
        """Let go of the descriptor. The memory stays as long as this object does."""
        self.memory.close()
