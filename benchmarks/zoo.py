"""Put runs of several architectures into one table that can be committed: how good, how fast, how large, at what cost.

    edgeseg export runs/zoo/unet --int8 && edgeseg export runs/zoo/bricknet_s --int8     # … every run
    edgeseg bench  runs/zoo/unet/export runs/zoo/bricknet_s/export --out runs/zoo        # take turns in one process
    python benchmarks/zoo.py runs/zoo/unet runs/zoo/bricknet_s --bench runs/zoo/bench.json --out zoo.json

Reads what the verbs left; measures nothing itself. Runs that the file holds already are replaced, others stay, and the
table says which of them were measured in another bench: milliseconds can be compared within one bench only, multiples
of a run that all benches hold across them. Without a run the table of the file is printed and drawn again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cyclopts import Parameter

from command_line import run_command
from edgeseg.cli.console import note
from edgeseg.training.checkpoint import BEST, read_checkpoint
from edgeseg_bench.pareto import draw
from edgeseg_bench.subjects import EXPORT
from edgeseg_runtime.errors import UserError
from edgeseg_runtime.files import write_json
from run_facts import BENCH, bench_facts, read_left, run_facts
from zoo_table import REFERENCE, REFERENCE_MS, fastest_ms, int8_points, markdown

RESULT = Path(__file__).parent / "results" / "camvid_zoo.json"


@Parameter(name="*")
@dataclass(frozen=True)
class ZooConfig:
    """Where figures come from and go to."""

    bench: Path | None = None
    """bench.json of one `edgeseg bench` over the exports of all runs; that in the first run's export if not given."""
    out: Path = RESULT
    """JSON file to write, or to add to; the picture goes beside it."""
    remark: str | None = None
    """What a reader must know beside the figures, such as where the runs were trained; the file's own if not given."""
    beside: Path | None = None
    """Run of the reference, where the bench holds it but its row is to stay as an earlier bench has it."""


def zoo(*runs: Path, config: ZooConfig | None = None) -> None:
    """Add RUNS to the table, print it in Markdown and draw int8 latency against mIoU."""
    config = config or ZooConfig()
    document = read_left(config.out) if config.out.is_file() else {"remark": "", "benches": {}, "runs": []}
    if runs:
        bench = read_left(config.bench or runs[0] / EXPORT / BENCH)
        rows = [zoo_row(run, bench) for run in runs]
        held = rows if config.beside is None else [run_facts(config.beside, bench)]
        document = merged(document, rows, bench_facts(bench) | reference_facts(held))
    if not document["runs"]:
        raise UserError(f"{config.out} holds no run yet; name some (--help)")
    if config.remark is not None:
        document["remark"] = config.remark
    write_json(config.out, document)
    print(markdown(document))
    picture = config.out.with_suffix(".png")
    if points := int8_points(document):
        draw(points, picture)
    else:
        note(f"no int8 file of any run passed its gate, so {picture} is not drawn")


def zoo_row(run: Path, bench: dict[str, Any]) -> dict[str, Any]:
    """Return what is known of a run, with what it was scored on, and which bench measured it."""
    checkpoint = read_checkpoint(run / BEST)
    config = checkpoint.config
    return run_facts(run, bench) | {
        "size": list(checkpoint.contract.size),
        "scored_on": f"{Path(config['data']).name}, split {config['val_split']}",
        "bench": bench["made"],
    }


def reference_facts(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Return what is kept of the reference with its bench, of the rows that were measured in it."""
    reference = next((row for row in rows if row["run"] == REFERENCE), None)
    time = fastest_ms(reference) if reference else None
    return {REFERENCE_MS: time} if time else {}


def merged(document: dict[str, Any], rows: Sequence[dict[str, Any]], bench: dict[str, Any]) -> dict[str, Any]:
    """Return the document with new rows, which take the place of those of the same name; the best comes first.

    Raises UserError for two new rows of one name, and for rows that were scored on other pictures.
    """
    new = {row["run"]: row for row in rows}
    if len(new) < len(rows):
        raise UserError("two of the runs have the same name; a table names each by its folder, so rename one")
    every = {row["run"]: row for row in document["runs"]} | new
    scored = {row["scored_on"]: row["run"] for row in every.values()}
    if len(scored) > 1:
        told = "; ".join(f"{run} on {pictures}" for pictures, run in scored.items())
        raise UserError(f"runs of one table are scored on the same pictures, and not {told}: use another --out")
    benches = document["benches"]
    benches = benches | {bench["made"]: benches.get(bench["made"], {}) | bench}
    used = {row["bench"] for row in every.values()}
    return {
        "remark": document["remark"],
        "benches": {made: facts for made, facts in sorted(benches.items()) if made in used},
        "runs": sorted(every.values(), key=lambda row: -row["mean_iou"]),
    }


if __name__ == "__main__":
    run_command(zoo)
