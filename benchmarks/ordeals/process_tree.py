"""What a process and all its children take of the machine, from /proc."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True)
class Usage:
    """Of a whole tree, at one moment."""

    at: float
    memory_bytes: int
    """What it allocated, shared memory once; not pages of files such as libraries, whose share also depends on what
    other programs run."""
    descriptors: int
    threads: int
    processes: int


def usage(pid: int, at: float) -> Usage:
    """Return what `pid` and its descendants take; those that end meanwhile are left out."""
    memory = descriptors = threads = processes = 0
    for one in tree(pid):
        with suppress(OSError):
            memory += own_bytes((_PROC / str(one) / "smaps_rollup").read_text())
            descriptors += len(list((_PROC / str(one) / "fd").iterdir()))
            threads += len(list((_PROC / str(one) / "task").iterdir()))
            processes += 1
    return Usage(at, memory, descriptors, threads, processes)


def tree(pid: int) -> list[int]:
    """Return `pid` and all its descendants."""
    found, new = [pid], [pid]
    while new:
        new = [child for parent in new for child in _children(parent)]
        found += new
    return found


def _children(pid: int) -> list[int]:
    with suppress(OSError):
        return [
            int(child)
            for task in (_PROC / str(pid) / "task").iterdir()
            for child in (task / "children").read_text().split()
        ]
    return []


def own_bytes(rollup: str) -> int:
    """Read the proportional size of anonymous and shared memory from the text of /proc/PID/smaps_rollup."""
    lines = (line.split() for line in rollup.splitlines())
    return sum(int(parts[1]) * 1024 for parts in lines if parts[0] in ("Pss_Anon:", "Pss_Shmem:"))
