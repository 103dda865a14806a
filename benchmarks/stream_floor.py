"""How near `edgeseg stream` comes to what this machine can do, and how far it is from a naive loop.

    python benchmarks/stream_floor.py runs/camvid --model runs/camvid/export/openvino-int8 --clip clip.mp4

In one run, in turns: (a) the processor time that decoding the video, preprocessing, the net and decoding to masks cost
a frame, each alone on one thread; cores ÷ their sum is the bound; (b) `edgeseg stream --none` over the clip; (c) the
loop of `edgeseg_bench.naive` with the run's own weights, exported the usual way. Medians of the rounds are compared.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import tempfile
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from statistics import median
from typing import Any

import torch
from cyclopts import App, Parameter

from edgeseg.cli import app as cli
from edgeseg.cli.console import note
from edgeseg.training.checkpoint import load_deployable
from edgeseg_bench.floors import CoreCosts, core_costs, median_costs
from edgeseg_bench.naive import NaiveLoop
from edgeseg_bench.report import load_average
from edgeseg_export.quiet import quiet
from edgeseg_runtime.errors import EdgesegError
from edgeseg_runtime.files import write_json
from edgeseg_runtime.machine import machine_facts, usable_cores
from edgeseg_runtime.segmenter import Segmenter

RESULT = Path(__file__).parent / "results" / "stream_floor.json"
WANTED_SHARE, WANTED_TIMES = 0.90, 3.0


@Parameter(name="*")
@dataclass(frozen=True)
class FloorConfig:
    """What is compared."""

    model: Path
    """The exported file that is streamed."""
    clip: Path
    """A video file."""
    rounds: int = 5
    """Turns of everything; medians count."""
    out: Path = RESULT
    """JSON file to write."""


def measure(run: Path, /, *, config: FloorConfig) -> int:
    """Compare streaming with the machine's bound and with a naive loop; RUN holds the weights of both.

    The exit code is 1 where streaming stays below 0.90 of the bound or below 3 times the naive loop.
    """
    cores = usable_cores()
    before = load_average()
    single = Segmenter.load(config.model, threads=1)
    with tempfile.TemporaryDirectory() as folder:
        naive = export_naive(run, Path(folder) / "naive.onnx")
        rounds = [one_round(single, naive, config) for _ in range(config.rounds)]
    costs = median_costs([entry.costs for entry in rounds])
    stream_fps, naive_fps = (median(getattr(entry, name) for entry in rounds) for name in ("stream_fps", "naive_fps"))
    share, times = stream_fps / costs.bound(cores), stream_fps / naive_fps
    result = {
        "made": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": " ".join(["python", *sys.argv]),
        "machine": machine_facts(),
        "load_average": {"before": before, "after": load_average()},
        "model": {"file": single.path.as_posix(), "engine": single.engine.name, "precision": single.precision},
        "input": list(single.contract.size),
        "clip": config.clip.name,
        "costs": costs.as_dict(cores),
        "stream_fps": round(stream_fps, 2),
        "naive_fps": round(naive_fps, 2),
        "share_of_bound": round(share, 4),
        "times_naive": round(times, 3),
        "rounds": [entry.as_dict(cores) for entry in rounds],
    }
    write_json(config.out, result)
    note(f"bound {costs.bound(cores):.1f} frames/s, stream {stream_fps:.1f}, naive loop {naive_fps:.1f}")
    note(f"stream reaches {share:.3f} of the bound and {times:.2f} times the naive loop; wrote {config.out}")
    return 0 if share >= WANTED_SHARE and times >= WANTED_TIMES else 1


@dataclass(frozen=True)
class Round:
    """One turn of everything."""

    costs: CoreCosts
    stream_fps: float
    naive_fps: float

    def as_dict(self, cores: int) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "bound_fps": round(self.costs.bound(cores), 2),
            "stream_fps": round(self.stream_fps, 2),
            "naive_fps": round(self.naive_fps, 2),
        }


def one_round(single: Segmenter, naive: NaiveLoop, config: FloorConfig) -> Round:
    """Measure the bound, the stream and the naive loop, one after the other."""
    costs = core_costs(config.clip, single)
    fps = stream(config.model, config.clip)
    frames, seconds = naive.run(config.clip)
    return Round(costs, fps, frames / seconds)


def stream(model: Path, clip: Path) -> float:
    """Run the verb itself in this process and return its frames a second. Raises EdgesegError when it fails."""
    answer = io.StringIO()
    with contextlib.redirect_stdout(answer):
        code = cli.run(["stream", "--model", str(model), "--source", str(clip), "--none", "--json"])
    if code != 0:
        raise EdgesegError(f"edgeseg stream ended with {code}")
    return float(json.loads(answer.getvalue())["fps"])


def export_naive(run: Path, path: Path) -> NaiveLoop:
    """Export the bare net of a run: normalised float32 (1, 3, height, width) in, its own scores out."""
    module, _ = load_deployable(run)
    contract = module.contract
    with quiet("torch.onnx"):
        program = torch.onnx.export(
            module.net.eval(),
            (torch.zeros(1, 3, *contract.size),),
            dynamo=True,
            external_data=False,
            opset_version=20,
            verbose=False,
        )
    assert program is not None
    program.save(path)
    return NaiveLoop(path, contract)


if __name__ == "__main__":
    app = App(default_command=measure, help_format="plaintext", default_parameter=Parameter(negative=()))
    try:
        sys.exit(app(result_action="return_value"))
    except EdgesegError as error:
        sys.exit(f"stream_floor: {error}")
