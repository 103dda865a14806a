"""What viewers that mean harm cost a live stream and the viewers that do not.

    python benchmarks/viewers.py runs/camvid/export/openvino-int8 --clip clip.mp4

`edgeseg stream --web` shows a camera of its own process to one healthy page, in turns without and with a crowd: pages
that read 10 KB a second, sockets that say nothing, a hundred connects. The camera sends 30 frames a second, and then
more than the stream can take, where every stolen millisecond shows. Wanted: at most 2 % fewer frames a second with the
crowd, and pictures at most 150 ms old (p99) on the healthy page. All processes share this machine.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from statistics import median
from time import monotonic, sleep
from typing import Any

import numpy as np
from cyclopts import Parameter

from command_line import run_command
from edgeseg.cli.console import note
from edgeseg_bench.report import load_average
from edgeseg_bench.viewer_crowd import CAMERA, CONNECTS, IDLE, SLOW_BYTES, SLOW_PAGES
from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.files import write_json
from edgeseg_runtime.machine import machine_facts

RESULT = Path(__file__).parent / "results" / "viewers.json"
MOST_LOSS, MOST_AGE_MS = 0.02, 150.0
SETTLE_SECONDS = 2.0
"""Not counted, after the page and the crowd have begun to connect."""
_START_SECONDS = 60.0


@Parameter(name="*")
@dataclass(frozen=True)
class ViewersBench:
    """What is measured."""

    clip: Path
    """A video file, 320 to 1280 pixels wide."""
    fps: tuple[float, ...] = (30.0, 240.0)
    """Frames a second that the camera sends, one after the other."""
    seconds: float = 10.0
    """Of each turn."""
    rounds: int = 5
    """Turns without and with the crowd."""
    threads: int = 1
    """Of the model."""
    out: Path = RESULT
    """JSON file to write."""

    def __post_init__(self) -> None:
        if not (self.fps and min(self.fps) > 0 and self.seconds > 0 and self.rounds > 0):
            raise ConfigError("--fps, --seconds and --rounds must be above 0")


def viewers(model: Path, /, *, config: ViewersBench) -> None:
    """Measure with an exported MODEL."""
    before = load_average()
    loads = [load(model, fps, config) for fps in config.fps]
    answer = {
        "made": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": machine_facts(),
        "load_average": {"before": before, "after": load_average()},
        "model": str(model),
        "threads": config.threads,
        "clip": config.clip.name,
        "crowd": {
            "pages_reading_slowly": SLOW_PAGES,
            "bytes_a_second": SLOW_BYTES,
            "idle_sockets": IDLE,
            "connects_a_turn": CONNECTS,
        },
        "wanted": {"fps_ratio": 1 - MOST_LOSS, "age_p99_ms": MOST_AGE_MS},
        "loads": loads,
    }
    write_json(config.out, answer)


def load(model: Path, fps: float, config: ViewersBench) -> dict[str, Any]:
    """Measure with a camera of so many frames a second: one stream, turns without and with the crowd."""
    turns: dict[str, list[dict[str, float]]] = {"alone": [], "crowd": []}
    with camera(config.clip, fps) as (address, began), stream(model, address, config.threads) as port:
        for number in range(config.rounds):
            for name in ("alone", "crowd") if number % 2 == 0 else ("crowd", "alone"):
                turns[name].append(turn(port, began, fps, config.seconds, crowd=name == "crowd"))
                note(f"{fps:g} fps, {number + 1}/{config.rounds} {name}: {turns[name][-1]}")
    return {"camera_fps": fps, **summary(turns), "turns": turns}


def summary(turns: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """Return medians over the turns, the ratio of those, and whether that is what is wanted."""
    medians = {
        name: {key: round(median(one[key] for one in ones), 2) for key in ones[0]} for name, ones in turns.items()
    }
    ratio = medians["crowd"]["fps"] / medians["alone"]["fps"]
    good = ratio >= 1 - MOST_LOSS and medians["crowd"]["age_p99_ms"] <= MOST_AGE_MS
    return {"medians": medians, "fps_ratio": round(ratio, 4), "as_wanted": good}


def turn(port: int, began: float, fps: float, seconds: float, *, crowd: bool) -> dict[str, float]:
    """Measure frames a second and the healthy page's ages for a while."""
    whole = seconds + SETTLE_SECONDS
    hostile = start("viewer_crowd", "hostile", port, whole + 1) if crowd else None
    page = start("viewer_crowd", "healthy", port, whole, began, fps)
    try:
        sleep(SETTLE_SECONDS)
        first, then = shown(port)
        sleep(seconds)
        last, now = shown(port)
        ages = json.loads(page.communicate(timeout=_START_SECONDS)[0])
    finally:
        for process in filter(None, (page, hostile)):
            end(process)
    late = ages[int(len(ages) * SETTLE_SECONDS / whole) :]
    p50, p99 = np.percentile(late, (50, 99)) * 1e3
    return {
        "fps": round((last - first) / (now - then), 3),
        "page_fps": round(len(late) / seconds, 2),
        "age_p50_ms": round(float(p50), 1),
        "age_p99_ms": round(float(p99), 1),
    }


def shown(port: int) -> tuple[int, float]:
    """Return how many frames the stream has shown, and since how many seconds it runs."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/status", timeout=10) as answer:
        status = json.load(answer)
    account = status["cameras"][0]["account"]
    return account["inferred"] + account["reused"], status["uptime_seconds"]


@contextmanager
def camera(clip: Path, fps: float) -> Iterator[tuple[str, float]]:
    """Run a camera; give its address and when its first frame was due."""
    process = start("paced_camera", clip, fps)
    try:
        assert process.stdout is not None
        port, began = process.stdout.readline().split()
        yield f"http://127.0.0.1:{port}/", float(began)
    finally:
        end(process)


@contextmanager
def stream(model: Path, address: str, threads: int) -> Iterator[int]:
    """Run `edgeseg stream` on a camera; give the port of its viewer once it shows frames."""
    program = "from edgeseg.cli import main; main()"
    flags = ["--source", f"{CAMERA}={address}", "--web", "0", "--threads", str(threads)]
    process = subprocess.Popen(
        [sys.executable, "-c", program, "stream", "--model", str(model), *flags], stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        for line in process.stderr:
            note(line.rstrip())
            if found := re.search(r"viewer: http://127\.0\.0\.1:(\d+)/", line):
                break
        else:
            raise ConfigError(f"the stream of {model} did not start")
        end = monotonic() + _START_SECONDS
        while shown(int(found[1]))[0] < 10 and monotonic() < end:
            sleep(0.1)
        yield int(found[1])
    finally:
        process.terminate()
        process.communicate(timeout=20)


def start(module: str, *arguments: object) -> subprocess.Popen[str]:
    """Start a module of the bench."""
    command = [sys.executable, "-m", f"edgeseg_bench.{module}", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def end(process: subprocess.Popen[str]) -> None:
    """End it now."""
    process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


if __name__ == "__main__":
    run_command(viewers)
