"""How many frames a second of a recording get boxes and masks: `edgeseg stream` beside Ultralytics.

    python -m venv runs/peers/ultralytics
    runs/peers/ultralytics/bin/pip install ultralytics openvino onnx
    python benchmarks/object_fps.py runs/people/export/openvino-float32 runs/people/export/openvino-int8 --clip clip.mp4

Takes turns: each of the given models through `edgeseg stream --none`, then Ultralytics' smallest net that finds masks,
of random weights, in OpenVINO at the same input size, by `predict(source, stream=True)`. It runs in its own Python and
is no dependency of this project. Its float32 file is computed in what OpenVINO picks by itself: bf16 where the
processor can. A net of random weights sees nothing, so that it has no objects to sort out and no masks to paste; what
is given to edgeseg may be trained. Wants an otherwise idle machine.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from cyclopts import Parameter

from command_line import run_command
from edgeseg.cli.console import note
from edgeseg_bench.report import circumstances, load_average
from edgeseg_runtime.errors import ConfigError, EdgesegError
from edgeseg_runtime.files import write_json
from edgeseg_runtime.segmenter import Segmenter
from recording_fps import recording_fps

RESULT = Path(__file__).parent / "results" / "object_fps.json"
DRIVER = Path(__file__).parent / "ultralytics_recording.py"


@Parameter(name="*")
@dataclass(frozen=True)
class FpsConfig:
    """What is compared on what."""

    clip: Path
    """A video file."""
    python: Path = Path("runs/peers/ultralytics/bin/python")
    """The Python that has Ultralytics."""
    rounds: int = 3
    """Turns of everything; medians count."""
    out: Path = RESULT
    """JSON file to write."""


def compare(models: tuple[Path, ...], /, *, config: FpsConfig) -> int:
    """Compare MODELS, exported files of one input size, with Ultralytics.

    The exit code is 1 where one of them gets fewer frames a second than it.
    """
    size = common_size(models)
    if not config.python.is_file():
        raise ConfigError(f"--python {config.python}: not there; make it as this script's docstring says")
    before = load_average()
    rounds = []
    for _ in range(config.rounds):
        mine = {model: recording_fps(model, config.clip, "--none") for model in models}
        rounds.append((mine, peer(config.python, config.clip, size)))
    other = [told["frames"] / told["seconds"] for _, told in rounds]
    compared = {model.as_posix(): against([turn[model] for turn, _ in rounds], other) for model in models}
    result = {
        **circumstances(before),
        "clip": config.clip.name,
        "input": list(size),
        "edgeseg": compared,
        "ultralytics": {"fps": round(median(other), 2), "turns": [round(fps, 2) for fps in other], **rounds[0][1]},
    }
    write_json(config.out, result)
    for model, told in compared.items():
        note(f"{model}: {told['fps']:.1f} frames/s, {told['times_ultralytics']:.2f} times Ultralytics'")
    note(f"Ultralytics {median(other):.1f} frames/s; wrote {config.out}")
    return 0 if all(told["times_ultralytics"] >= 1 for told in compared.values()) else 1


def against(mine: list[float], other: list[float]) -> dict[str, Any]:
    """Return the medians of frames a second, and of how many times the other's they are in the same turn."""
    times = median(fps / beside for fps, beside in zip(mine, other, strict=True))
    return {
        "fps": round(median(mine), 2),
        "times_ultralytics": round(times, 3),
        "turns": [round(fps, 2) for fps in mine],
    }


def common_size(models: tuple[Path, ...]) -> tuple[int, int]:
    """Return the models' input (height, width). Raises ConfigError when they differ, or find no objects."""
    contracts = {model: Segmenter.load(model, threads=1).contract for model in models}
    for model, contract in contracts.items():
        if contract.task != "instance":
            raise ConfigError(f"{model} is a model of classes; give models that tell objects apart")
    sizes = {contract.size for contract in contracts.values()}
    if len(sizes) != 1:
        told = ", ".join(f"{height}×{width}" for height, width in sorted(sizes)) or "none"
        raise ConfigError(f"give models of one input size, got {told}")
    return sizes.pop()


def peer(python: Path, clip: Path, size: tuple[int, int]) -> dict[str, Any]:
    """Run the other in its own Python and return what it says. Raises EdgesegError when it fails."""
    command = [str(python), str(DRIVER), str(clip), *map(str, size)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise EdgesegError(f"Ultralytics ended with {done.returncode}: {done.stderr.strip().splitlines()[-1:]}")
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


if __name__ == "__main__":
    run_command(compare)
