"""What drivers write is read back, and what they must not write is refused."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ordeals.drivers.wire import THUMB_HEIGHT, THUMB_WIDTH, Task
from ordeals.process_tree import own_bytes, tree
from ordeals.running import BENCHMARKS
from ordeals.trace import Ended, Said, Trace, last_words
from tests.servers.scene import Stamp, draw

DRIVER = """
import sys; sys.path.append({path!r})
import numpy as np
from ordeals.drivers.wire import Task, Wire
task, wire = Task.from_arguments(), Wire()
wire.start("numpy")
print("noise on stdout")
wire.told("it is gone", 1)
for name in ("stamped", "black", "other"):
    wire.shown(2, np.load(name + ".npy"), 0.25)
wire.viewer(task.urls[0])
wire.done()
"""


def lines(*raw: dict[str, Any]) -> list[str]:
    return [json.dumps(one) for one in raw]


@pytest.mark.parametrize("size", [(240, 320), (121, 163), (480, 640)])
def test_a_driver_is_understood(tmp_path: Path, size: tuple[int, int]) -> None:
    np.save(tmp_path / "stamped.npy", draw(Stamp(7, 123.456), size))
    np.save(tmp_path / "black.npy", np.zeros((*size, 3), np.uint8))
    np.save(tmp_path / "other.npy", np.full((*size, 3), 90, np.uint8))
    task = json.dumps({"urls": ["http://viewer"]})
    done = subprocess.run(
        [sys.executable, "-c", DRIVER.format(path=str(BENCHMARKS)), task],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "noise on stdout" in done.stderr  # nothing that is printed gets among the lines
    trace = Trace()
    for line in done.stdout.splitlines():
        trace.add(line)
    assert trace.started_at is not None and trace.versions == {"numpy": np.__version__}
    assert [(one.text, one.how, one.source) for one in trace.said] == [("it is gone", "told", 1)]
    assert [(one.made_at, one.black, one.source, one.mask_lag) for one in trace.shown] == [
        (123.456, False, 2, 0.25),
        (None, True, 2, 0.25),
        (None, False, 2, 0.25),
    ]
    assert trace.shown[0].age == pytest.approx(trace.shown[0].at - 123.456)
    assert trace.viewer == "http://viewer"
    assert trace.done_at is not None and trace.done_at >= trace.shown[-1].at
    assert trace.of(2) == trace.shown and trace.of(0) == []


GOOD = base64.b64encode(bytes(THUMB_HEIGHT * THUMB_WIDTH)).decode()


@pytest.mark.parametrize(
    "line",
    [
        "",
        "Traceback (most recent call last):",
        "[1]",
        "7",
        '{"kind": "told"}',
        *lines(
            {"at": 1, "kind": "dance"},
            {"at": "soon", "kind": "told", "source": 0, "text": ""},
            {"at": 1, "kind": "shown", "source": 0, "mask_lag": 0},
            {"at": 1, "kind": "shown", "source": 0, "mask_lag": 0, "thumb": "????"},
            {"at": 1, "kind": "shown", "source": 0, "mask_lag": 0, "thumb": GOOD[:-8]},
            {"at": 1, "kind": "shown", "source": None, "mask_lag": 0, "thumb": GOOD},
        ),
    ],
)
def test_what_is_no_line_is_refused(line: str) -> None:
    trace = Trace()
    with pytest.raises(ValueError, match="not its protocol"):
        trace.add(line)
    assert trace == Trace()


def test_the_last_words_are_those_of_the_fault() -> None:
    lines = [(0.5, "error: of the import"), (1.5, "ValueError: no"), (1.6, "  warnings.warn("), (2.0, "")]
    said = [Said(at, text, "printed") for at, text in lines]
    assert last_words(Trace(started_at=1.0, said=said)) == "ValueError: no"
    assert last_words(Trace(started_at=1.55, said=said)) == "warnings.warn("
    assert last_words(Trace(started_at=1.9, said=said)) == ""
    told = Said(1.1, "no picture", "told")
    assert last_words(Trace(started_at=1.0, said=[told, *said])) == "no picture"  # what is printed may be wrapped
    assert Trace(ended=Ended(1.0, 0)).ended is not None


def test_memory_is_what_a_process_allocated() -> None:
    rollup = ["5636-7ffc ---p 00000000 00:00 0  [rollup]", "Rss: 1752 kB", "Pss: 210 kB"]
    rollup += ["Pss_Anon: 112 kB", "Pss_File: 90 kB", "Pss_Shmem: 8 kB"]
    assert own_bytes("\n".join(rollup)) == 120 * 1024
    assert own_bytes("") == 0


def test_a_tree_has_its_children() -> None:
    script = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(1, flush=True); input()'])"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        assert len(tree(parent.pid)) == 2
    assert tree(parent.pid) == [parent.pid]  # it is gone, and has none


def test_a_task_has_defaults() -> None:
    assert Task(["rtsp://x"]) == Task(["rtsp://x"], 0.0, "", False)
