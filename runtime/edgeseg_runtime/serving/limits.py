"""How much memory a model's process may take."""

from __future__ import annotations

import resource
from contextlib import suppress
from pathlib import Path

from edgeseg_runtime.machine import memory_bytes

GIB = 1 << 30
BASE, PER_FILE_BYTE, PER_THREAD, OTHER_DEVICE = 4 * GIB, 8, 16 << 20, 8 * GIB
"""Measured on two threads: Fast-SCNN at 512×512 takes ONNX Runtime 50 MB and OpenVINO 120 MB, U-Net at 1024×2048 takes
them 1150 and 540 MB; each further thread takes 8 MB. The driver of another device takes gigabytes of its own in the
process (not measured)."""

_OUT_OF_MEMORY = ("bad_alloc", "failed to allocate", "out of memory", "cannot allocate memory", "memoryerror")


def allowance(file_bytes: int, threads: int, device: str) -> int:
    """Return the bytes that a model may take where nobody says how many: never more than 3/4 of the machine's."""
    wanted = BASE + PER_FILE_BYTE * file_bytes + PER_THREAD * threads
    if device != "cpu":
        wanted += OTHER_DEVICE
    machine = memory_bytes(_read("/proc/meminfo"))
    return wanted if machine is None else min(wanted, machine * 3 // 4)


def limit_memory(more: int) -> None:
    """Let this process take `more` bytes than it has now; what asks for more is told that there is none.

    Limits data (heap, stacks and other private writable memory), not address space: engines and drivers reserve tens of
    gigabytes of addresses that they never use. Needs Linux 4.7.
    """
    limit = _data_bytes() + more
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def be_first_to_go() -> None:
    """Ask the kernel to end this process before any other of ours when the whole machine runs out of memory."""
    with suppress(OSError):  # a container may forbid it; then the kernel chooses as it always does
        Path("/proc/self/oom_score_adj").write_text("800")


def tells_of_memory(line: str) -> bool:
    """Whether an engine's complaint means that it did not get the memory it asked for."""
    return any(words in line.lower() for words in _OUT_OF_MEMORY)


def _data_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[5])  # data + stack
    return pages * resource.getpagesize()


def _read(path: str) -> str:
    return Path(path).read_text(encoding="utf-8", errors="replace")
