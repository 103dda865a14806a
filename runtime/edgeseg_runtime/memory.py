"""Where the memory of frames comes from."""

from __future__ import annotations

import ctypes
import sys

# Numbers of glibc's mallopt(3), from malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_FROM_HEAP = 32 << 20
_KEPT_FREE = 64 << 20


def keep_freed_memory() -> bool:
    """Let the C library reuse the memory of old frames in place of giving it back to the system; True if it does so.

    Left alone, glibc returns megabyte-sized buffers at once, and each new frame then costs hundreds of page faults.
    The setting is the whole process's and keeps up to 64 MB more. Elsewhere than on glibc nothing is changed.
    """
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallopt"):
        return False
    return bool(libc.mallopt(_M_MMAP_THRESHOLD, _LARGEST_FROM_HEAP) and libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_FREE))
