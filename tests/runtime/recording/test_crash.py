"""What is left when the process is killed, of a recording and of a plain MP4."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import av
import pytest

from edgeseg_runtime.events import Events
from edgeseg_runtime.recording import RecordOptions, RecordSink

if TYPE_CHECKING:
    from tests.runtime.recording.conftest import Read

Finished = Callable[[Path], list[Path]]
ROOT = Path(__file__).parents[3]
RATE = 25
LOST_SECONDS = 2.0
"""Most that may be lost."""

CHILD = """
import sys
from fractions import Fraction
from pathlib import Path
import av
from edgeseg_runtime.events import Events
from edgeseg_runtime.recording import RecordOptions, RecordSink
from tests.runtime.recording.conftest import _make_shot

how, folder = sys.argv[1], Path(sys.argv[2])
if how == "plain":
    container = av.open(str(folder / "plain.mp4"), "w")
    stream = container.add_stream("libx264", rate=25, width=128, height=96, options={"tune": "zerolatency"})
    def write(shot):
        container.mux(stream.encode(av.VideoFrame.from_ndarray(shot.picture, format="bgr24")))
else:
    sink = RecordSink(RecordOptions(folder, segment_seconds=3, content=how), ("road", "person"), Events())
    def write(shot):
        sink.write(shot, False)
for index in range(4000):
    write(_make_shot(index, 100 + index / 25))
    print(index, flush=True)
"""


def killed(how: str, folder: Path, after: int, by: signal.Signals = signal.SIGKILL) -> int:
    """Run a recorder, kill it once it has written frame `after`, and return the last frame it told of."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "runtime"), str(ROOT)))}
    command = [sys.executable, "-c", CHILD, how, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT) as process:
        assert process.stdout is not None
        told = [int(process.stdout.readline()) for _ in range(after + 1)]
        process.send_signal(by)
        told += [int(line) for line in process.stdout.read().splitlines() if line]
        assert process.wait(20) == -by
    return told[-1]


@pytest.mark.parametrize(("content", "after"), [("overlay", 40), ("masks", 110)])
def test_a_killed_recorder_loses_less_than_two_seconds(
    tmp_path: Path, readers: tuple[Read, Read], finished: Finished, content: str, after: int
) -> None:
    last = killed(content, tmp_path, after)
    closed = finished(tmp_path)
    (partial,) = tmp_path.glob(".*.partial")
    # readable as it lies there, before anybody tidies up
    before, again = ([number for path in [*closed, partial] for number in read(path).numbers] for read in readers)
    assert before == again == list(range(len(before)))
    assert (last - before[-1]) / RATE <= LOST_SECONDS
    assert last - before[-1] <= 2  # the one the muxer holds back, and the one being written

    events = Events()
    seen: list[str] = []
    events.subscribe(lambda event: seen.append(event.kind))
    RecordSink(RecordOptions(tmp_path), ("road", "person"), events).close()
    assert seen == ["record.recovered"]
    assert not list(tmp_path.glob(".*"))
    files = finished(tmp_path)
    assert len(files) == len(closed) + 1
    for read in readers:
        assert [number for path in files for number in read(path).numbers] == before
    if content == "masks":
        movies = [readers[0](path) for path in files]
        assert all(len(movie.masks) == len(movie.numbers) for movie in movies[:-1])
        assert 0 <= len(movies[-1].numbers) - len(movies[-1].masks) <= 1


def test_a_plain_mp4_loses_everything(tmp_path: Path, readers: tuple[Read, Read]) -> None:
    """Negative control: the same frames, the same kill."""
    assert killed("plain", tmp_path, 110) >= 110
    with pytest.raises(av.FFmpegError):
        readers[0](tmp_path / "plain.mp4")
    assert readers[1](tmp_path / "plain.mp4").numbers == []


@pytest.mark.slow
def test_a_recorder_killed_again_and_again_leaves_every_run_readable(
    tmp_path: Path, read_av: Read, finished: Finished
) -> None:
    """At many moments, the first frames among them, each run finding what the ones before left."""
    kills = [1, 2, 3, 74, 75, 76, 77, *range(20, 300, 37)]
    lasts = [killed("overlay", tmp_path, after) for after in kills]
    RecordSink(RecordOptions(tmp_path), ("road", "person"), Events()).close()
    runs: list[list[int]] = []
    for path in finished(tmp_path):
        numbers = read_av(path).numbers
        if numbers[0] == 0:
            runs.append([])
        runs[-1] += numbers
    assert [run == list(range(len(run))) for run in runs] == [True] * len(kills)
    assert all(last - run[-1] <= 2 for last, run in zip(lasts, runs, strict=True))
    assert not list(tmp_path.glob(".*"))
