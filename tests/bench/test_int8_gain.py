from __future__ import annotations

from edgeseg_bench.int8_gain import KindGain, compare, recommend
from edgeseg_bench.kernels import KindTime


def test_kinds_are_put_beside_each_other_largest_difference_first() -> None:
    float32 = [KindTime("dense conv", 2, 10.0), KindTime("resize", 1, 1.0), KindTime("layout", 1, 0.3)]
    int8 = [KindTime("dense conv", 2, 4.0), KindTime("quantise / dequantise", 9, 2.0), KindTime("resize", 1, 1.5)]
    rows = compare(float32, int8)
    assert rows == [
        KindGain("dense conv", 10.0, 4.0),
        KindGain("quantise / dequantise", 0.0, 2.0),
        KindGain("resize", 1.0, 1.5),
        KindGain("layout", 0.3, 0.0),
    ]
    assert [row.slower for row in rows] == [False, True, True, False]


def test_noise_is_not_called_slower() -> None:
    assert not KindGain("add", 0.010, 0.025).slower
    assert not KindGain("conv", 5.0, 5.4).slower
    assert KindGain("conv", 5.0, 5.6).slower


def test_an_engine_where_int8_loses_is_named_with_the_operators_that_lose() -> None:
    times = {
        ("onnxruntime", "float32"): 10.0,
        ("onnxruntime", "int8"): 12.0,
        ("openvino", "float32"): 9.0,
        ("openvino", "bf16"): 5.0,
        ("openvino", "int8"): 4.0,
    }
    gains = {"onnxruntime": [KindGain("multiply", 1.0, 4.0), KindGain("dense conv", 6.0, 5.0)]}
    assert recommend(times, gains) == [
        "int8 is not faster in onnxruntime here: 12.00 ms, float32 10.00 ms (slower: multiply 1.00 → 4.00 ms)",
        "fastest here: int8 in openvino, 4.00 ms a frame",
    ]


def test_bf16_beats_int8() -> None:
    times = {("openvino", "float32"): 9.0, ("openvino", "bf16"): 3.5, ("openvino", "int8"): 4.0}
    assert recommend(times, {}) == [
        "int8 is not faster in openvino here: 4.00 ms, bf16 3.50 ms",
        "fastest here: bf16 in openvino, 3.50 ms a frame",
    ]


def test_nothing_measured_says_nothing() -> None:
    assert recommend({}, {}) == []
