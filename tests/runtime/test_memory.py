from __future__ import annotations

import subprocess
import sys

import pytest

from edgeseg_runtime.memory import all_freed_memory_kept, keep_freed_memory

FAULTS = """
import resource
import numpy as np
from edgeseg_runtime.memory import keep_freed_memory
assert keep_freed_memory()
np.ones(1 << 20, np.uint8)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(100):
    np.ones(1 << 20, np.uint8)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""

LARGE = """
import resource
import numpy as np
from edgeseg_runtime.memory import all_freed_memory_kept
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        np.ones(64 << 20, np.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()
outside, before = faults(), resident()
with all_freed_memory_kept():
    np.ones(64 << 20, np.uint8)
    inside, held = faults(), resident() - before
print(outside, inside, faults(), held, resident() - before)
"""


@pytest.mark.skipif(not keep_freed_memory(), reason="this C library has no mallopt")
def test_large_buffers_are_kept_meanwhile_and_given_back_at_the_end() -> None:
    done = subprocess.run([sys.executable, "-c", LARGE], capture_output=True, text=True, check=True)
    outside, inside, after, held, left = map(int, done.stdout.split())
    of_five = 5 * 64 * 256 / 10  # a tenth of their pages; a huge page is one fault for many
    assert inside < min(outside, of_five) and after > 10 * inside
    assert held > 60 << 20 and left < 8 << 20


@pytest.mark.skipif(not keep_freed_memory(), reason="this C library has no mallopt")
def test_the_next_frame_gets_the_last_ones_memory() -> None:
    done = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 100 * 256 / 10  # a megabyte is 256 pages, each a fault if it came from the system


def test_elsewhere_nothing_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not keep_freed_memory()
    with all_freed_memory_kept():
        pass
