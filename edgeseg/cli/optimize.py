"""`edgeseg optimize`."""

from __future__ import annotations

import sys
from pathlib import Path

from edgeseg.cli.console import answer_json, error_line, note, table
from edgeseg.cli.optimize_config import OptimizeConfig
from edgeseg_runtime.extras import require


def optimize(run: Path, /, *, config: OptimizeConfig, resume: bool = False, json: bool = False) -> int:
    """Find the model that meets a budget: resolution, pruning, precision, engine and threads.

    RUN is a run folder or a .safetensors checkpoint. Cheap trials come first:
    latencies of untrained shapes, then masks, then layers put back to float, and
    training only where it could still win. The choice is the highest mIoU within
    the budget, on the threads where it is fastest, and has passed the parity gate.
    Smaller nets are taken to be no slower, and coarser ones no more accurate: what
    could at most equal the best so far is not tried.

    `mixed` leaves the fewest layers in float with which int8 holds --max-drop, or,
    without that, loses 0.3 points at most against float32 of the same size and
    weights. It is built where int8 (which is tried, too) is in time and loses more.

    Leaves in --out: chosen/ (the file, choice.json with the reason, report.html),
    trials.csv, optimize.json, pareto.png, the runs that were trained, and
    trials.jsonl, from which --resume goes on, with another budget or grid too. If
    nothing meets the budget the exit code is 1, the nearest trial is named, and
    there is no chosen/.

    With --target, latencies here are multiplied by the ratio of the profile's to
    this machine's, for each kind of file (precision, engine, threads), unpruned at
    full size. That is an estimate: measure on the other machine before relying on
    it.

    For example:

      edgeseg optimize runs/camvid --latency 12ms --max-drop 0.5
      edgeseg optimize runs/camvid --latency 12ms --max-drop 0.5 --resume
      edgeseg optimize runs/camvid --latency 4ms --prune 0 --precisions bf16 mixed --threads 1 2
      edgeseg optimize runs/camvid --latency 30ms --target raspberry/bench.json

    Parameters
    ----------
    resume
        Go on with the search in --out; what was measured is not measured again. The budget and the grid may change.
    json
        Print the result as JSON.
    """
    for package in ("torch", "torchvision", "lightning", "tensorboard", "safetensors", "matplotlib", "torch_pruning"):
        require(package, "train")
    for package in ("onnx", "onnxscript", "onnxsim", "openvino", "nncf"):
        require(package, "export")
    from edgeseg.cli.optimize_parts import assemble, search_folder
    from edgeseg.optimize.run import run_search
    from edgeseg.optimize.table import HEADERS, cells
    from edgeseg.training.folder import held

    with held(search_folder(run, config)):
        parts = assemble(run, config, resume)
        result = run_search(parts, " ".join(["edgeseg", *sys.argv[1:]]), note)
    if json:
        answer_json(result.document)
    else:
        rows = [cells(row) for row in result.table]
        table(f"Trials ({parts.latency_label})", list(HEADERS), rows, sentences=True)
        if result.met:
            print(result.text)
    if not result.met:
        error_line(f"nothing that was tried meets the budget; {result.text}")
    return 0 if result.met else 1
