"""What this process uses of the machine, where Linux's /proc tells."""

from __future__ import annotations

import os
import resource
from pathlib import Path

_PROC = Path("/proc/self")


def process_figures() -> dict[str, float]:
    """Return resident_memory_bytes, cpu_seconds_total, open_fds, max_fds and threads; without /proc, what is known."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    figures = {"cpu_seconds_total": used.ru_utime + used.ru_stime}
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY:
        figures["max_fds"] = most
    try:
        pages = int((_PROC / "statm").read_text().split()[1])
        figures["resident_memory_bytes"] = pages * os.sysconf("SC_PAGE_SIZE")
        figures["open_fds"] = len(list((_PROC / "fd").iterdir())) - 1  # the listing's own descriptor
        figures["threads"] = len(list((_PROC / "task").iterdir()))
    except (FileNotFoundError, PermissionError):
        pass  # not Linux, or /proc is closed: then nothing is said
    return figures
