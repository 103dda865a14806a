"""The script on runs and a bench that the test writes, its table worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from compression import CompressionConfig, compression
from compression_table import HEADERS, markdown
from edgeseg_runtime.errors import UserError
from tests.bench.left_runs import make_bench, make_run, times


@pytest.fixture
def original(tmp_path: Path) -> Path:
    return make_run(tmp_path / "original", 0.7)


@pytest.fixture
def half(tmp_path: Path) -> Path:
    return make_run(tmp_path / "half", 0.695, teacher="/runs/original", missing=("openvino-int8",))


@pytest.fixture
def bench(tmp_path: Path, original: Path, half: Path) -> Path:
    return make_bench(tmp_path / "bench.json", "monday", {original: times(8, 7, 5, 4), half: times(5, 4, 3, 2.5)})


def lines_of(shown: str) -> dict[str, dict[str, str]]:
    """Return the cells of a table by run."""
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in shown.splitlines()[2:]]
    return {row[0]: dict(zip(HEADERS, row, strict=True)) for row in rows}


def test_the_table_holds_each_run_against_the_original(
    tmp_path: Path, original: Path, half: Path, bench: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "compression.json"
    compression((original, half), config=CompressionConfig(bench, out, "two cores"))
    cells = lines_of(capsys.readouterr().out)
    assert list(cells) == ["original", "half"]
    first, pruned = cells["original"], cells["half"]
    assert first["made by"] == "scratch, 50 of 60 epochs, time unknown"
    assert first["mIoU [95 %]"] == "70.00 [68.00, 73.00]"
    assert first["mIoU of int8"] == "69.00 / 69.00" and first["int8 below the original"] == "1.00 / 1.00"
    assert first["float32, ms"] == "8.00 / 7.00" and first["int8, ms"] == "5.00 / 4.00"
    assert first["int8 network alone"] == "1.5 × / 2.0 ×"  # (7 - 1) / (5 - 1), (7 - 1) / (4 - 1)
    assert pruned["made by"] == "distilled, scratch, 50 of 60 epochs, time unknown"
    assert pruned["int8 below the original"] == "1.50 / –"  # .7 - (.695 - .01); the other file was refused
    assert pruned["same pixels, int8"] == "98.70 % / –" and pruned["MB of int8"] == "1.5 / –"
    assert pruned["int8 network alone"] == "3.0 × / –"  # (7 - 1) / (3 - 1)
    written = json.loads(out.read_text(encoding="utf-8"))
    assert written["remark"] == "two cores"
    assert [row["points_below_the_original"] for row in written["runs"]] == [0, 0.5]
    assert [row["kind"] for row in written["runs"]] == ["original", "distilled"]
    assert [row["rejected"] for row in written["runs"]] == [
        {},
        {"openvino-int8": [{"what": "near edges", "measured": 0.96, "allowed": 0.97, "where": ""}]},
    ]
    assert [case["threads"] for case in written["runs"][0]["artifacts"][0]["latency"]] == [1, 2]


def test_without_times_of_the_network_alone_there_is_a_dash() -> None:
    timed: dict[str, Any] = {"threads": 1, "engine": "openvino", "p50_ms": 3.0, "network_ms": None}
    item: dict[str, Any] = {
        "name": "openvino-int8", "precision": "int8", "verdict": "pass", "mean_iou": 0.5, "agreement": 1.0,
        "bytes": 10**6, "latency": [timed],
    }  # fmt: skip
    training = {"start": "scratch", "epochs_planned": 1, "epochs_done": 1, "best_epoch": 1, "minutes": 1.0}
    row: dict[str, Any] = {
        "run": "a", "kind": "original", "training": training, "parameters": 1, "macs": 1, "mean_iou": 0.5,
        "interval_95": None, "artifacts": [item, item | {"precision": "float32"}],
    }  # fmt: skip
    (cells,) = lines_of(markdown([row])).values()
    assert cells["int8 network alone"] == "– / –" and cells["mIoU [95 %]"] == "50.00 –"
    assert cells["int8, ms"] == cells["float32, ms"] == "– / 3.00"


def test_a_bench_of_other_files_is_refused_and_nothing_written(
    tmp_path: Path, original: Path, half: Path, bench: Path
) -> None:
    other = make_run(tmp_path / "other", 0.7)
    for runs in ((original, other), (other, half)):
        with pytest.raises(UserError, match=r"the bench knows no file of .*other"):
            compression(runs, config=CompressionConfig(bench, tmp_path / "out.json"))
    assert not (tmp_path / "out.json").exists()
