"""How near `edgeseg stream` comes to what this machine can do, and how far it is from a naive loop.

    python benchmarks/stream_floor.py runs/camvid --model runs/camvid/export/openvino-int8 --clip clip.mp4

In one run, in turns: (a) the processor time that decoding the video, preprocessing, the net and decoding to masks cost
a frame, and drawing and encoding a video of it, each alone on one thread; cores ÷ their sum is the bound; (b) `edgeseg
stream` over the clip, with `--none` and with `--video`; (c) the loop of `edgeseg_bench.naive`, which puts nothing out,
with the run's own weights, exported the usual way. A processor's clock moves from second to second: the costs are
measured before and after each stream, which is held against the mean of both; the median of the rounds' shares counts.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from cyclopts import Parameter

from command_line import run_command
from edgeseg.cli.console import note
from edgeseg.training.checkpoint import load_semantic
from edgeseg_bench.floors import CoreCosts, core_costs, mean_costs, median_costs
from edgeseg_bench.naive import NaiveLoop
from edgeseg_bench.report import circumstances, load_average
from edgeseg_export.quiet import quiet
from edgeseg_runtime.files import write_json
from edgeseg_runtime.machine import usable_cores
from edgeseg_runtime.segmenter import Segmenter
from recording_fps import recording_fps

RESULT = Path(__file__).parent / "results" / "stream_floor.json"
WANTED_SHARE, WANTED_TIMES = 0.95, 3.0
NAIVE_FRAMES = 200
VIDEO = ".mp4"
OUTPUTS = {"none": None, "video": VIDEO}
"""What is put out, and the suffix of the video that is written."""


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

    The exit code is 1 where streaming stays below 0.95 of the bound, with or without a video, or below 3 times the
    naive loop.
    """
    cores = usable_cores()
    before = load_average()
    single = Segmenter.load(config.model, threads=1)
    with tempfile.TemporaryDirectory() as folder:
        naive = export_naive(run, Path(folder) / "naive.onnx")
        rounds = [one_round(single, naive, config) for _ in range(config.rounds)]
    naive_fps = median(entry.naive_fps for entry in rounds)
    outputs = {name: share_of_bound([entry.outputs[name] for entry in rounds], cores) for name in OUTPUTS}
    times = outputs["none"]["stream_fps"] / naive_fps
    result = {
        **circumstances(before),
        "model": {"file": single.path.as_posix(), "engine": single.engine.name, "precision": single.precision},
        "input": list(single.contract.size),
        "clip": config.clip.name,
        "outputs": outputs,
        "naive_fps": round(naive_fps, 2),
        "times_naive": round(times, 3),
    }
    write_json(config.out, result)
    for name, output in outputs.items():
        bound, fps, share = (output[key] for key in ("bound_fps", "stream_fps", "share_of_bound"))
        note(f"{name}: bound {bound:.1f} frames/s, stream {fps:.1f}, {share:.3f} of the bound")
    note(f"naive loop {naive_fps:.1f} frames/s, stream {times:.2f} times as many; wrote {config.out}")
    enough = all(output["share_of_bound"] >= WANTED_SHARE for output in outputs.values())
    return 0 if enough and times >= WANTED_TIMES else 1


@dataclass(frozen=True)
class Streamed:
    """What one turn of streaming could cost, and what it reached."""

    costs: CoreCosts
    fps: float


@dataclass(frozen=True)
class Round:
    """One turn of everything."""

    outputs: dict[str, Streamed]
    naive_fps: float


def share_of_bound(turns: Sequence[Streamed], cores: int) -> dict[str, Any]:
    """Return plain JSON values: costs, bound and frames a second, and the median of the turns' shares of the bound."""
    costs, fps = median_costs([turn.costs for turn in turns]), median(turn.fps for turn in turns)
    return {
        "costs": costs.as_dict(cores),
        "bound_fps": round(costs.bound(cores), 2),
        "stream_fps": round(fps, 2),
        "share_of_bound": round(median(turn.fps / turn.costs.bound(cores) for turn in turns), 4),
        "turns": [{"bound_fps": round(turn.costs.bound(cores), 2), "stream_fps": round(turn.fps, 2)} for turn in turns],
    }


def one_round(single: Segmenter, naive: NaiveLoop, config: FloorConfig) -> Round:
    """Stream with each output between two measurements of what a frame costs, then run the naive loop."""
    outputs = {}
    before = core_costs(config.clip, single, video=VIDEO)
    for name, suffix in OUTPUTS.items():
        with tempfile.TemporaryDirectory() as folder:
            output = ["--none"] if suffix is None else ["--video", f"{folder}/drawn{suffix}"]
            fps = recording_fps(config.model, config.clip, *output)
        after = core_costs(config.clip, single, video=VIDEO)
        costs = mean_costs(before, after)
        outputs[name] = Streamed(costs if suffix else costs.without_output(), fps)
        before = after
    frames, seconds = naive.run(config.clip, NAIVE_FRAMES)
    return Round(outputs, frames / seconds)


def export_naive(run: Path, path: Path) -> NaiveLoop:
    """Export the bare net of a run: normalised float32 (1, 3, height, width) in, its own scores out."""
    module, _ = load_semantic(run)
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
    run_command(measure)
