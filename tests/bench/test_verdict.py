from __future__ import annotations

from dataclasses import replace

import pytest

from edgeseg_bench.report import Row
from edgeseg_bench.verdict import Verdict, verdicts

BASE = Row(
    name="?", engine="openvino", precision="float32", threads=2, file="m", frames=100,
    p50_ms=10.0, p95_ms=11.0, p99_ms=12.0, stages_ms=None, fps=100.0,
)  # fmt: skip
FLOAT_ORT = replace(BASE, name="onnx-float32", engine="onnxruntime", p50_ms=10.0)
FLOAT_OV = replace(BASE, name="openvino-float32", p50_ms=8.0)
BF16 = replace(BASE, name="openvino-bf16", precision="bf16", p50_ms=5.0)
INT8 = replace(BASE, name="openvino-int8", precision="int8", p50_ms=4.0)
INT8_ORT = replace(BASE, name="onnx-int8", engine="onnxruntime", precision="int8", p50_ms=7.0)
TORCH = replace(BASE, name="fast_scnn", engine="pytorch", file=None, p50_ms=1.0)


def only(*rows: Row, max_drop: float = 1.0) -> Verdict:
    (verdict,) = verdicts(rows, max_drop)
    return verdict


def test_int8_that_is_faster_is_worth_it() -> None:
    verdict = only(FLOAT_ORT, FLOAT_OV, BF16, INT8, INT8_ORT)
    assert verdict.worth_it is True
    assert verdict.use == "openvino-int8 · openvino · 2"
    assert verdict.over_float32 == 2.0  # 8 / 4: the fastest float32, whatever the engine
    assert verdict.over_bf16 == 1.25
    assert verdict.over_float32_onnxruntime == 2.5
    assert verdict.miou_cost is None
    assert "int8 is worth it here: 2.00× as fast as float32 and 1.25× as fast as bf16" in verdict.text
    assert "accuracy was not measured" in verdict.text


def test_int8_that_is_slower_is_not() -> None:
    verdict = only(FLOAT_OV, BF16, replace(INT8, p50_ms=6.0))
    assert verdict.worth_it is False
    assert verdict.use == "openvino-bf16 · openvino · 2"
    assert verdict.over_bf16 == pytest.approx(5 / 6, abs=1e-3)
    assert "int8 is slower than bf16 here" in verdict.text and "stay with bf16" in verdict.text


def test_a_gain_within_the_noise_is_not_worth_it() -> None:
    verdict = only(FLOAT_OV, BF16, replace(INT8, p50_ms=4.8))
    assert verdict.worth_it is False and verdict.use == BF16.title
    assert "gains too little here" in verdict.text and "stay with bf16" in verdict.text


@pytest.mark.parametrize(
    ("miou", "worth_it", "words"),
    [
        (0.697, True, "it costs 0.30 mIoU points"),
        (0.69, True, "it costs 1.00 mIoU points"),
        (0.67, False, "it costs 3.00 mIoU points, more than the 1 allowed: stay with bf16"),
        (0.70, True, "it costs no mIoU"),
        (0.71, True, "it gains 1.00 mIoU points"),
    ],
)
def test_accuracy_is_part_of_the_price(miou: float, worth_it: bool, words: str) -> None:
    rows = [replace(row, mean_iou=0.70) for row in (FLOAT_OV, BF16)]
    verdict = only(*rows, replace(INT8, mean_iou=miou), max_drop=1.0 + 1e-9)
    assert verdict.worth_it is worth_it
    assert verdict.miou_cost == pytest.approx(70 - 100 * miou, abs=1e-3)
    assert words in verdict.text


def test_the_cost_is_against_the_original_if_that_is_better() -> None:
    rows = [replace(FLOAT_OV, mean_iou=0.69), replace(TORCH, mean_iou=0.70), replace(INT8, mean_iou=0.68)]
    assert only(*rows).miou_cost == pytest.approx(2.0)


def test_the_original_in_pytorch_is_never_deployed() -> None:
    verdict = only(TORCH, FLOAT_OV, INT8)
    assert verdict.use == INT8.title
    assert verdict.over_float32 == 2.0


def test_without_bf16_or_onnxruntime_their_ratios_are_unknown() -> None:
    verdict = only(FLOAT_OV, INT8)
    assert verdict.over_bf16 is None and verdict.over_float32_onnxruntime is None
    assert "bf16" not in verdict.text


@pytest.mark.parametrize(
    ("rows", "words"),
    [([FLOAT_OV, BF16], "no int8 artifact was measured"), ([INT8, INT8_ORT], "only int8 artifacts were measured")],
)
def test_nothing_to_compare_gives_no_verdict_but_the_fastest(rows: list[Row], words: str) -> None:
    verdict = only(*rows)
    assert verdict.worth_it is None
    assert verdict.use == min(rows, key=lambda row: row.p50_ms).title
    assert words in verdict.text


def test_each_number_of_threads_is_judged_by_itself() -> None:
    one = [replace(row, threads=1) for row in (FLOAT_OV, replace(INT8, p50_ms=20.0))]
    first, second = verdicts([FLOAT_OV, INT8, *one])
    assert (first.threads, first.worth_it) == (1, False) and "With 1 thread:" in first.text
    assert (second.threads, second.worth_it) == (2, True) and "With 2 threads:" in second.text


def test_each_network_is_judged_against_its_own_files() -> None:
    small = [replace(row, network="small", p50_ms=row.p50_ms / 10, mean_iou=0.4) for row in (FLOAT_OV, INT8)]
    big = [replace(row, network="big", mean_iou=0.7) for row in (FLOAT_OV, replace(INT8, p50_ms=9.0))]
    first, second = verdicts([*big, *small])
    assert (first.network, first.worth_it, first.miou_cost) == ("big", False, 0)
    assert (second.network, second.worth_it, second.miou_cost) == ("small", True, 0)
    assert first.text.startswith("big, with 2 threads: int8 is slower than float32 here")
    assert second.use == "small/openvino-int8 · openvino · 2"


def test_objects_are_judged_by_their_mask_ap() -> None:
    rows = [replace(row, mean_iou=None, mask_ap=0.30) for row in (FLOAT_OV, BF16)]
    verdict = only(*rows, replace(INT8, mean_iou=None, mask_ap=0.295))
    assert "it costs 0.50 mask AP points" in verdict.text
    assert (verdict.ap_cost, verdict.miou_cost) == (0.5, None)
    assert verdict.worth_it is True
