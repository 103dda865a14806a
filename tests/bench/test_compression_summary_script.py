"""The summary of files that `benchmarks/compression.py` wrote of runs the test makes; figures worked out by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from compression import CompressionConfig, compression
from compression_summary import HEADERS, alone, compression_summary, line, the, times
from edgeseg_runtime.errors import UserError
from tests.bench.left_runs import make_bench, make_run
from tests.bench.left_runs import times as milliseconds


def cells_of(shown: str) -> list[dict[str, str]]:
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in shown.splitlines()]
    assert rows[0] == list(HEADERS) and set(rows[1]) == {"---"}
    return [dict(zip(HEADERS, row, strict=True)) for row in rows[2:]]


def test_a_line_for_each_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    original = make_run(tmp_path / "original", 0.7)
    taught = make_run(tmp_path / "taught", 0.72, teacher="/runs/original", missing=("onnx-int8",))
    runs = {original: milliseconds(8, 7, 5, 4), taught: milliseconds(5, 4, 3, 2.5)}
    bench = make_bench(tmp_path / "bench.json", "monday", runs)
    compression((original, taught), config=CompressionConfig(bench, tmp_path / "one.json", "two cores"))
    compression((taught,), config=CompressionConfig(bench, tmp_path / "other.json"))
    capsys.readouterr()
    compression_summary(tmp_path / "one.json", tmp_path / "other.json")
    summary, one, other = capsys.readouterr().out.split("\n\n## ")
    first, second = cells_of(summary)
    assert first == dict.fromkeys(HEADERS, "–") | {
        "network": "`fast_scnn`",
        "mIoU": "70.00",
        "int8": "1.00 / 1.00",
        "times float32": "2.00 ×",  # (7 - 1) / (4 - 1)
        "distilled": "-2.00",
    }
    assert second["int8"] == "– / 1.00"  # ONNX Runtime's was refused
    assert one.startswith("fast_scnn\n\n`one.json`: two cores\n\n| run |")
    assert [row.split(" | ")[0] for row in one.splitlines()[6:]] == ["| original", "| taught"]
    assert [row.split(" | ")[0] for row in other.splitlines()[6:]] == ["| taught"]


def run(kind: str, mean_iou: float, macs: int, ms: float | None) -> dict[str, object]:
    timed = {"threads": 1, "engine": "openvino", "p50_ms": 9.0, "network_ms": ms}
    files = [
        {"precision": precision, "verdict": "pass", "mean_iou": mean_iou - lost, "latency": [timed]}
        for precision, lost in (("float32", 0.0), ("int8", 0.005))
    ]
    return {"kind": kind, "settings": {"model": "a"}, "mean_iou": mean_iou, "macs": macs, "artifacts": files}


def test_of_several_pruned_networks_the_one_that_was_trained_for_int8_is_told() -> None:
    runs = [run("original", 0.7, 200, 4.0), run("pruned", 0.71, 150, 3.0), run("pruned", 0.69, 90, 2.0),
            run("pruned", 0.6, 60, 1.0), run("pruned + QAT", 0.695, 90, 1.9), run("QAT", 0.705, 200, 4.0)]  # fmt: skip
    told = dict(zip(HEADERS, line(runs), strict=True))
    assert told["MACs left"] == "45 %" and told["pruned"] == "1.00" and told["pruned, int8"] == "– / 1.50"
    assert told["pruned, QAT"] == "– / 1.00" and told["QAT"] == "– / 0.00"
    assert told["times int8"] == "2.00 ×" and told["distilled"] == "–"


def test_or_else_the_smallest() -> None:
    runs = [run("original", 0.7, 200, 4.0), run("pruned", 0.71, 150, 3.0), run("pruned", 0.69, 90, 2.0)]
    assert dict(zip(HEADERS, line(runs), strict=True))["MACs left"] == "45 %"


def test_what_was_not_measured_has_a_dash() -> None:
    untimed = run("original", 0.7, 200, None)
    assert alone(untimed, "int8") is None and times(alone(untimed, "float32"), 2.0) == "–"
    assert the([untimed], "QAT") is None


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="absent"):
        compression_summary(tmp_path / "absent.json")
