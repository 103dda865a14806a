from __future__ import annotations

import subprocess
import sys

import pytest

from edgeseg_runtime.memory import keep_freed_memory

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


@pytest.mark.skipif(not keep_freed_memory(), reason="this C library has no mallopt")
def test_the_next_frame_gets_the_last_ones_memory() -> None:
    done = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 100 * 256 / 10  # a megabyte is 256 pages, each a fault if it came from the system


def test_elsewhere_nothing_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not keep_freed_memory()
