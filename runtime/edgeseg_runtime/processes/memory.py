"""Memory that two processes share."""

from __future__ import annotations

import fcntl
import mmap
import os
from typing import Any

import numpy as np
import numpy.typing as npt


class SharedMemory:
    """Anonymous shared memory: it has no name, so nothing is left of it however the processes end.

    The process that makes it passes the descriptor on; each side maps it for itself.
    """

    def __init__(self, fd: int, size: int) -> None:
        """Map `size` bytes of a descriptor, which this object then owns."""
        self.fd, self.size = fd, size
        try:
            self._map = mmap.mmap(fd, size)
        except (OSError, ValueError):
            os.close(fd)
            raise

    @classmethod
    def create(cls, size: int) -> SharedMemory:
        """Make `size` zeroed bytes. Raises OSError where the machine has not that much."""
        fd = os.memfd_create("edgeseg", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(fd, size)
        # Reading mapped memory that the other side has cut off would end this process.
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL)
        return cls(fd, size)

    def array(self, shape: tuple[int, ...], dtype: Any = np.uint8, offset: int = 0) -> npt.NDArray[Any]:
        """View a part of it as an array; it lives as long as its last view. Raises ValueError where it does not fit."""
        count = int(np.prod(shape, dtype=np.int64))
        return np.frombuffer(self._map, dtype, count, offset).reshape(shape)

    def close(self) -> None:
        """Let go of the descriptor; the memory goes with its last view."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
