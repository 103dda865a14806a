"""How long it takes from nothing to the first mask: Python, the runtime's import, the model's file, one frame.

    python benchmarks/start_up.py runs/camvid/export/openvino-int8 runs/camvid/export/onnx-int8

Each turn is a process of its own, timed from its start to when its mask is there; medians of the turns count. The
files have been read before, so the disk is not what is measured. Wants an otherwise idle machine.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

from cyclopts import Parameter

from command_line import run_command
from edgeseg.cli.console import note
from edgeseg_bench.report import circumstances, load_average
from edgeseg_runtime.errors import EdgesegError
from edgeseg_runtime.files import write_json

RESULT = Path(__file__).parent / "results" / "start_up.json"
WANTED_SECONDS = 1.0
PROGRAM = """
import sys
import numpy as np
from edgeseg_runtime.segmenter import Segmenter
segmenter = Segmenter.load(sys.argv[1])
print(segmenter(np.zeros((*segmenter.contract.size, 3), np.uint8)).mask.shape, flush=True)
"""


@Parameter(name="*")
@dataclass(frozen=True)
class StartUpConfig:
    """How often, and where to."""

    rounds: int = 9
    """Turns of each model; medians count."""
    out: Path = RESULT
    """JSON file to write."""


def measure(*models: Path, config: StartUpConfig | None = None) -> int:
    """Start with each of MODELS in turns; the exit code is 1 where one takes more than a second."""
    config = config or StartUpConfig()
    before = load_average()
    turns: dict[str, list[float]] = {str(model): [] for model in models}
    for number in range(1 + config.rounds):
        for model, seconds in turns.items():
            took = first_mask(model)
            if number:  # the first reads the files
                seconds.append(round(took, 4))
    medians = {model: median(seconds) for model, seconds in turns.items()}
    rows = [{"model": model, "seconds": medians[model], "turns": seconds} for model, seconds in turns.items()]
    write_json(config.out, {**circumstances(before), "rounds": config.rounds, "models": rows})
    for row in rows:
        note(f"{row['model']}: {row['seconds']:.3f} s")
    return 0 if max(medians.values(), default=0.0) <= WANTED_SECONDS else 1


def first_mask(model: str) -> float:
    """Return the seconds from a process's start to its first mask. Raises EdgesegError when it fails."""
    started = perf_counter()
    with subprocess.Popen([sys.executable, "-c", PROGRAM, model], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = process.stdout.readline()
        took = perf_counter() - started
    if not told:
        raise EdgesegError(f"{model} gave no mask")
    return took


if __name__ == "__main__":
    run_command(measure)
