"""What the C library does with memory that is given back to it. Elsewhere than on glibc nothing is changed here."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# Numbers of glibc's mallopt(3), from malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -3, -4
_LARGEST_FROM_HEAP = 32 << 20
_KEPT_FREE, _EVERYTHING = 64 << 20, (1 << 31) - 1
_DEFAULT_MAPPINGS = 65536


def keep_freed_memory() -> bool:
    """Let the C library reuse the memory of old frames in place of giving it back to the system; True if it does so.

    Left alone, glibc returns megabyte-sized buffers at once, and each new frame then costs hundreds of page faults.
    The setting is the whole process's and keeps up to 64 MB more.
    """
    libc = _glibc()
    return libc is not None and bool(
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGEST_FROM_HEAP) and libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_FREE)
    )


@contextmanager
def all_freed_memory_kept() -> Iterator[None]:
    """Give no memory back to the system meanwhile, of buffers of any size; at the end all that is free.

    For work that wants the same large buffers again and again, as steps of training do: a fifth of a step went into
    page faults of buffers above 32 MB, which glibc otherwise never keeps.
    """
    libc = _glibc()
    if libc is None:
        yield
        return
    libc.mallopt(_M_MMAP_MAX, 0)
    libc.mallopt(_M_TRIM_THRESHOLD, _EVERYTHING)
    try:
        yield
    finally:
        libc.mallopt(_M_MMAP_MAX, _DEFAULT_MAPPINGS)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_FREE)
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "mallopt") else None
