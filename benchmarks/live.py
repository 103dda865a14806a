"""How old what a live stream shows truly is, when the model is slower than the camera.

    python benchmarks/live.py runs/camvid/export/openvino-int8 --clip clip.mp4

A camera of its own process sends the clip as motion JPEG over http at 30 frames a second, each frame with its number in
its pixels, so that its age is known at the very end: when an output gets it. The model is held back to so many frame
times. In turns: the live loop, the live loop with every frame shown, and the loop everybody writes first (OpenCV reads,
the model runs, in order). Wanted: mask age p99 at most inference p99 and 1.2 frame times; with every frame shown,
picture age p99 at most two frame times.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from threading import Timer
from time import monotonic, sleep
from typing import Any

import cv2
import numpy as np
from cyclopts import Parameter

from command_line import run_command
from edgeseg.cli.console import note
from edgeseg_bench.numbered_camera import FPS, number_of
from edgeseg_bench.report import load_average
from edgeseg_runtime.capture.camera import Camera
from edgeseg_runtime.files import write_json
from edgeseg_runtime.live.base import Moment
from edgeseg_runtime.live.loop import LiveLoop, LiveOptions
from edgeseg_runtime.live.status import ModelStatus
from edgeseg_runtime.live.tricks import FlowCarry
from edgeseg_runtime.machine import machine_facts
from edgeseg_runtime.pipeline import Stop
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.result import Result
from edgeseg_runtime.segmenter import Segmenter
from edgeseg_runtime.serving.server import ModelServer
from edgeseg_runtime.serving.spec import ModelSpec
from edgeseg_runtime.sinks.base import Shot, Sink

RESULT = Path(__file__).parent / "results" / "live.json"
SETTLE_SECONDS = 3.0
"""At the start, not counted: connecting, and the first masks."""


@Parameter(name="*")
@dataclass(frozen=True)
class LiveBench:
    """What is measured."""

    clip: Path
    """A video file."""
    slower: float = 3.0
    """Times the camera's frame time that the model takes."""
    seconds: float = 20.0
    """Of each turn."""
    rounds: int = 3
    """Turns of everything."""
    out: Path = RESULT
    """JSON file to write."""


class HeldBack:
    """A model that takes as long as it is told to, and notes how long that was."""

    def __init__(self, model: ModelServer, seconds: float) -> None:
        self._model, self._seconds = model, seconds
        self.contract = model.wait_ready()
        self.took: list[float] = []

    def infer(self, frame: Image, moment: Moment | None = None) -> Result:
        """Segment, and wait for the rest of the time."""
        started = monotonic()
        result = self._model.infer(frame, moment)
        sleep(max(0.0, self._seconds - (monotonic() - started)))
        self.took.append(monotonic() - started)
        return result

    def status(self) -> ModelStatus:
        """Return the model's."""
        return self._model.status()

    def close(self) -> None:
        """Close it."""
        self._model.close()


class Ages(Sink[None]):
    """Notes how old each picture and its mask are when an output gets them."""

    name = "ages"
    backlog = 64

    def __init__(self, began: float) -> None:
        self._began = began
        self._counts_from = monotonic() + SETTLE_SECONDS
        self.picture: list[float] = []
        self.mask: list[float] = []

    def note(self, image: Image, lag: float) -> None:
        """Take one picture whose mask was made of one `lag` seconds older."""
        now = monotonic()
        if now >= self._counts_from:
            age = now - (self._began + number_of(image) / FPS)
            self.picture.append(age)
            self.mask.append(age + lag)

    def encode(self, shot: Shot) -> None:
        """Nothing to prepare."""

    def write(self, shot: Shot, encoded: None) -> None:  # noqa: ARG002
        """Note a shot."""
        assert shot.masked_at is not None
        self.note(shot.frame.image, shot.frame.captured_at - shot.masked_at)

    def close(self) -> None:
        """Nothing is open."""


def live(url: str, began: float, model: Path, config: LiveBench, options: LiveOptions) -> dict[str, Any]:
    """Run the live loop for a turn."""
    held, ages, stop = HeldBack(ModelServer(ModelSpec(model)), config.slower / FPS), Ages(began), Stop()
    Timer(SETTLE_SECONDS + config.seconds, lambda: setattr(stop, "wanted", True)).start()
    LiveLoop([Camera("bench", url)], held, [ages], options).run(stop)
    return figures(ages, held.took, config)


def naive(url: str, began: float, model: Path, config: LiveBench) -> dict[str, Any]:
    """Run the loop that everybody writes first for a turn."""
    segmenter, ages, took = Segmenter.load(model), Ages(began), list[float]()
    capture, end = cv2.VideoCapture(url, cv2.CAP_FFMPEG), monotonic() + SETTLE_SECONDS + config.seconds
    while monotonic() < end:
        found, image = capture.read()
        if not found:
            break
        started = monotonic()
        segmenter(image)  # type: ignore[arg-type]
        sleep(max(0.0, config.slower / FPS - (monotonic() - started)))
        took.append(monotonic() - started)
        ages.note(image, 0.0)  # type: ignore[arg-type]
    capture.release()
    return figures(ages, took, config)


def figures(ages: Ages, took: list[float], config: LiveBench) -> dict[str, Any]:
    """Return milliseconds and frames a second of one turn."""

    def spread(values: list[float]) -> dict[str, float]:
        return {f"p{p}": round(1e3 * float(np.percentile(values, p)), 1) for p in (50, 95, 99)}

    half = len(ages.mask) // 2
    return {
        "shown_fps": round(len(ages.picture) / config.seconds, 2),
        "picture_age_ms": spread(ages.picture),
        "mask_age_ms": spread(ages.mask),
        "mask_age_second_half_ms": spread(ages.mask[half:]),
        "inference_ms": spread(took),
    }


def measure(model: Path, /, *, config: LiveBench) -> None:
    """Measure the ages with an exported MODEL."""
    before = load_average()
    ways: dict[str, Callable[[str, float], dict[str, Any]]] = {
        "live": lambda url, began: live(url, began, model, config, LiveOptions()),
        "every frame": lambda url, began: live(url, began, model, config, LiveOptions(carry=FlowCarry)),
        "read, run, in order": lambda url, began: naive(url, began, model, config),
    }
    turns: dict[str, list[dict[str, Any]]] = {name: [] for name in ways}
    for number in range(config.rounds):
        for name, run in ways.items():
            camera = subprocess.Popen(
                [sys.executable, "-m", "edgeseg_bench.numbered_camera", str(config.clip)],
                stdout=subprocess.PIPE,
                text=True,
            )
            try:
                assert camera.stdout is not None
                port, began = camera.stdout.readline().split()
                turns[name].append(run(f"http://127.0.0.1:{port}/", float(began)))
            finally:
                camera.kill()
                camera.wait()
            note(f"{number + 1}/{config.rounds} {name}: {turns[name][-1]}")
    answer = {
        "made": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": machine_facts(),
        "load_average": {"before": before, "after": load_average()},
        "camera": f"{FPS} frames a second of {config.clip.name}, motion JPEG over http",
        "model_takes_frame_times": config.slower,
        "turns": turns,
    }
    write_json(config.out, answer)


if __name__ == "__main__":
    run_command(measure)
