"""What compression cost and gained, as a table in Markdown: a line for each run."""

from __future__ import annotations

from typing import Any

from table_cells import ENGINES, RUN_HEADERS, fastest_files, pair, run_cells

HEADERS = (
    "run",
    *RUN_HEADERS,
    "mIoU of int8",
    "int8 below the original",
    "same pixels, int8",
    "MB of int8",
    "float32, ms",
    "int8, ms",
    "int8 network alone",
)


def markdown(rows: list[dict[str, Any]]) -> str:
    """Return the table of `rows`, the original's first. Pairs are ONNX Runtime / OpenVINO.

    *Below the original* are points of mIoU that a file is below the original network in PyTorch, *same pixels* is
    against the network that the file was made of, and *network alone* how many times as fast it is as the original's
    float32 in OpenVINO. Files that the parity gate refused are left out.
    """
    reference = fastest_files(rows[0], "float32")[ENGINES.index("openvino")]
    unit = None if reference is None else reference[1]["network_ms"]
    lines = ["| " + " | ".join(HEADERS) + " |", "|" + "---|" * len(HEADERS)]
    return "\n".join([*lines, *("| " + " | ".join(_cells(row, rows[0]["mean_iou"], unit)) + " |" for row in rows)])


def _cells(row: dict[str, Any], original: float, unit: float | None) -> list[str]:
    float32, int8 = fastest_files(row, "float32"), fastest_files(row, "int8")

    def times(_: dict[str, Any], case: dict[str, Any]) -> str | None:
        return None if unit is None or case["network_ms"] is None else f"{unit / case['network_ms']:.1f} ×"

    return [
        row["run"],
        *run_cells(row),
        pair(int8, lambda item, _: f"{100 * item['mean_iou']:.2f}"),
        pair(int8, lambda item, _: f"{100 * (original - item['mean_iou']):.2f}"),
        pair(int8, lambda item, _: f"{100 * item['agreement']:.2f} %"),
        pair(int8, lambda item, _: f"{item['bytes'] / 1e6:.1f}"),
        pair(float32, lambda _, case: f"{case['p50_ms']:.2f}"),
        pair(int8, lambda _, case: f"{case['p50_ms']:.2f}"),
        pair(int8, times),
    ]
