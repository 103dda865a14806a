"""Put what compression cost and gained into one file that can be committed, and print it as a table for the README.

    edgeseg export runs/base --int8 && edgeseg export runs/half --int8        # … every run
    edgeseg bench  runs/base/export runs/half/export --out runs/compared      # all of them take turns in one process
    python benchmarks/compression.py runs/base runs/half --bench runs/compared/bench.json --out compression.json

The first run is the original that the others are held against. Reads what the verbs left; measures nothing itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cyclopts import Parameter

from command_line import run_command
from compression_table import markdown
from edgeseg_runtime.files import write_json
from run_facts import bench_facts, read_left, run_facts


@Parameter(name="*")
@dataclass(frozen=True)
class CompressionConfig:
    """Where figures come from and go to."""

    bench: Path
    """bench.json of one `edgeseg bench` over the exports of all runs."""
    out: Path
    """JSON file to write."""
    remark: str = ""
    """What a reader must know beside the figures."""


def compression(runs: tuple[Path, ...], /, *, config: CompressionConfig) -> None:
    """Collect accuracy, parity, latency and size of RUNS, the original first."""
    bench = read_left(config.bench)
    rows = [run_facts(run, bench) for run in runs]
    for row in rows:
        row["points_below_the_original"] = round(100 * (rows[0]["mean_iou"] - row["mean_iou"]), 3)
    write_json(config.out, {"remark": config.remark, "bench": bench_facts(bench), "runs": rows})
    print(markdown(rows))


if __name__ == "__main__":
    run_command(compression)
