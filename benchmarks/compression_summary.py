"""Print the files of several networks' compression as Markdown: a line for each network, then a table for each.

    python benchmarks/compression_summary.py benchmarks/results/camvid_compression_*.json

Reads what `benchmarks/compression.py` wrote; measures nothing itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from command_line import run_command
from compression_table import markdown
from run_facts import read_left
from table_cells import ENGINES, fastest_files, pair

OPENVINO = ENGINES.index("openvino")
HEADERS = (
    "network",
    "mIoU",
    "int8",
    "times float32",
    "QAT",
    "MACs left",
    "pruned",
    "pruned, int8",
    "pruned, QAT",
    "times int8",
    "distilled",
)
NONE = "–"


def compression_summary(*results: Path) -> None:
    """Print a line for each of RESULTS, then the table of each, see `compression_table`.

    All but the network's own mIoU are points that something is below it, negative where it is above; pairs are ONNX
    Runtime / OpenVINO. *MACs left* is of the pruned network that was also trained for int8, or else of the smallest,
    and so are the columns after it. *Times float32* is how many times as fast OpenVINO's int8 is as its float32, *times
    int8* how many times as fast the pruned network's int8 is as the unpruned one's: networks alone, one thread.
    """
    documents = [read_left(path) for path in results]
    lines = [line(document["runs"]) for document in documents]
    print("\n".join("| " + " | ".join(cells) + " |" for cells in [HEADERS, ["---"] * len(HEADERS), *lines]))
    for path, document in zip(results, documents, strict=True):
        model = document["runs"][0]["settings"]["model"]
        print(f"\n## {model}\n\n`{path.name}`: {document['remark']}\n\n{markdown(document['runs'])}")


def line(runs: list[dict[str, Any]]) -> list[str]:
    """Return the cells of a network; its original is the first of `runs`."""
    original = runs[0]

    def below(row: dict[str, Any] | None) -> str:
        return NONE if row is None else f"{100 * (original['mean_iou'] - row['mean_iou']):.2f}"

    def below_in_int8(row: dict[str, Any] | None) -> str:
        return NONE if row is None else pair(fastest_files(row, "int8"), lambda item, _: below(item))

    qat, distilled = the(runs, "QAT"), the(runs, "distilled")
    both = the(runs, "pruned + QAT")
    pruned = the(runs, "pruned", 0 if both is None else both["macs"])
    return [
        f"`{original['settings']['model']}`",
        f"{100 * original['mean_iou']:.2f}",
        below_in_int8(original),
        times(alone(original, "float32"), alone(original, "int8")),
        below_in_int8(qat),
        NONE if pruned is None else f"{100 * pruned['macs'] / original['macs']:.0f} %",
        below(pruned),
        below_in_int8(pruned),
        below_in_int8(both),
        times(alone(original, "int8"), None if pruned is None else alone(pruned, "int8")),
        below(distilled),
    ]


def the(runs: Iterable[dict[str, Any]], kind: str, macs: int = 0) -> dict[str, Any] | None:
    """Return the run of a kind whose multiply-accumulates are nearest to `macs`; None if there is none."""
    return min((row for row in runs if row["kind"] == kind), key=lambda row: abs(int(row["macs"]) - macs), default=None)


def alone(row: dict[str, Any], precision: str) -> float | None:
    """Return the milliseconds of a network alone in OpenVINO; None where they were not measured."""
    found = fastest_files(row, precision)[OPENVINO]
    return None if found is None else found[1]["network_ms"]


def times(slower: float | None, quicker: float | None) -> str:
    """Say how many times as fast."""
    return NONE if slower is None or quicker is None else f"{slower / quicker:.2f} ×"


if __name__ == "__main__":
    run_command(compression_summary)
