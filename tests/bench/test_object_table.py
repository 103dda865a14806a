"""Only what the script does with what the verbs left; the verbs have tests of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

import object_table
from edgeseg_runtime.errors import UserError
from object_table import ObjectTableConfig, markdown, reference_row

SCORES = {"mask_ap": 0.3, "mask_ap50": 0.7, "mask_ap75": 0.2, "box_ap": 0.4, "mean_f1": 0.8}


def test_the_references_best_epoch_counts() -> None:
    epochs = [{"epoch": number, **SCORES, "mask_ap": ap} for number, ap in ((1, 0.1), (2, 0.35), (3, 0.2))]
    told = {"command": "python x", "settings": {"epochs": "3"}, "seconds": 120.0, "epochs": epochs}
    row = reference_row(told)
    assert (row["epoch"], row["mask_ap"], row["minutes"], row["box_ap"]) == (2, 0.35, 2.0, 0.4)
    assert row["mask_ap_by_epoch"] == [0.1, 0.35, 0.2]
    assert markdown([], [row]).splitlines()[-1].startswith("| torchvision's script | 3, 2 | PyTorch | 0.350 |")


def test_a_line_a_file() -> None:
    case = {"threads": 1, "p50_ms": 12.34, "mask_ap": 0.3012}
    files = [
        {
            "name": "onnx-float32",
            "bytes": 2_500_000,
            "objects": {"original": 9, "missed": 0, "extra": 1},
            "mask_iou": 0.99999,
            "drop_points": 0.04,
            "drop_interval_95": [-0.1, 0.2],
            "latency": [case, {**case, "p50_ms": 20.0}, {**case, "threads": 2}],
        },
        {
            "name": "onnx-int8",
            "bytes": 700_000,
            "objects": {"original": 9, "missed": 1, "extra": 0},
            "mask_iou": 0.98,
            "drop_points": None,
            "drop_interval_95": None,
            "latency": [],
        },
    ]
    lines = markdown([{"run": "mine", "settings": {"epochs": 5}, "minutes": 3.2, "artifacts": files}], []).splitlines()
    assert lines[2:] == [
        "| mine | 5, 3 | onnx-float32 | 0.301 | 0.04 [-0.10, 0.20] | 9, 0, 1 | 1.0000 | 2.50 | 12.3 / 20.0 |",
        "| mine | 5, 3 | onnx-int8 | – | – – | 9, 1, 0 | 0.9800 | 0.70 | – |",
    ]


def test_mistakes_are_named(tmp_path: Path) -> None:
    bench = tmp_path / "bench.json"
    bench.write_text('{"rows": []}')
    with pytest.raises(UserError, match="--minutes has 2 values for 1 runs"):
        object_table.object_table((tmp_path,), config=ObjectTableConfig(bench, tmp_path / "out.json", (1, 2)))
    with pytest.raises(UserError, match=r"nowhere\.json is missing"):
        object_table.object_table((), config=ObjectTableConfig(tmp_path / "nowhere.json", tmp_path / "out.json"))
