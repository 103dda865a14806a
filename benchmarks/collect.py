"""Put the numbers of one run into one file that can be committed, with the commands that made them.

    python benchmarks/collect.py runs/camvid --out benchmarks/results/camvid_fast_scnn.json

Reads what `edgeseg train`, `export` and `bench` left; measures nothing itself.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from cyclopts import Parameter

from command_line import run_command
from edgeseg.cli.console import note
from edgeseg.config import load_config
from edgeseg.training.checkpoint import BEST, read_checkpoint
from edgeseg.training.runlog import CURVES
from edgeseg.training.state import CONFIG
from edgeseg_runtime.files import write_json
from run_facts import read_left

RESULTS = Path(__file__).parent / "results"


@Parameter(name="*")
@dataclass(frozen=True)
class CollectConfig:
    """Where it goes."""

    out: Path
    """JSON file to write; the run's curves go beside it."""
    remark: str = ""
    """What a reader must know beside the figures."""


def collect(run: Path, /, *, config: CollectConfig) -> None:
    """Write everything measured about RUN into one JSON file."""
    checkpoint = read_checkpoint(run / BEST)
    manifest = read_left(run / "export" / "manifest.json")
    bench = read_left(run / "export" / "bench.json")
    write_json(
        config.out,
        {
            "remark": config.remark,
            "training": {
                "settings": load_config(run / CONFIG),
                "epoch": checkpoint.epoch,
                "metrics": {name: value for name, value in checkpoint.metrics.items() if name != "confusion"},
            },
            "export": {"command": manifest["facts"]["command"], "packages": manifest["packages"]},
            "parity": read_left(run / "export" / "parity.json"),
            "bench": bench,
        },
    )
    shutil.copyfile(run / CURVES, config.out.with_suffix(".curves.png"))
    shutil.copyfile(run / "export" / "bench.png", config.out.with_suffix(".bench.png"))
    note(f"{config.out}: written")


if __name__ == "__main__":
    run_command(collect)
