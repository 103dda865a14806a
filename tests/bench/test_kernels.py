from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from edgeseg_bench.kernels import KindTime, by_kind, conv_kind, onnxruntime_kinds, profile, read_onnxruntime
from edgeseg_runtime.errors import EngineError

FRAMES = [np.random.default_rng(seed).integers(0, 255, (1, 32, 32, 3), np.uint8) for seed in range(3)]


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dense 3→16, a depthwise and a pointwise convolution with ReLUs between, a resize."""
    rng = np.random.default_rng(0)
    shapes = {"dense": (16, 3, 3, 3), "depth": (16, 1, 3, 3), "point": (32, 16, 1, 1)}
    constants = [numpy_helper.from_array(rng.normal(size=shape).astype(np.float32), k) for k, shape in shapes.items()]
    constants.append(numpy_helper.from_array(np.array([1, 32, 64, 64], np.int64), "size"))
    nodes = [
        helper.make_node("Cast", ["frames"], ["real"], "cast", to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["real"], ["planes"], "planes", perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "dense"], ["a"], "a", pads=[1] * 4),
        helper.make_node("Relu", ["a"], ["b"], "b"),
        helper.make_node("Conv", ["b", "depth"], ["c"], "c", pads=[1] * 4, group=16),
        helper.make_node("Relu", ["c"], ["d"], "d"),
        helper.make_node("Conv", ["d", "point"], ["e"], "e"),
        helper.make_node("Resize", ["e", "", "", "size"], ["f"], "f", mode="linear"),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("frames", TensorProto.UINT8, [1, 32, 32, 3])],
        [helper.make_tensor_value_info("f", TensorProto.FLOAT, [1, 32, 64, 64])],
        constants,
    )
    path = tmp_path_factory.mktemp("kernels") / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


@pytest.fixture(scope="module")
def int8(net: Path) -> Path:
    class Frames(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left = [{"frames": frame} for frame in FRAMES]

        def get_next(self) -> Any:
            return self.left.pop() if self.left else None

    path = net.with_name("int8.onnx")
    quantize_static(
        net,
        path,
        Frames(),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
    )
    return path


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_every_convolution_is_found_by_its_kind(net: Path, engine: str) -> None:
    rows = {row.kind: row for row in profile(net, engine, FRAMES, 1, "float32")}
    for kind in ("dense conv", "depthwise conv", "pointwise conv", "resize"):
        assert rows[kind].operators == 1, rows
        assert rows[kind].ms > 0
    assert "activation" not in rows  # fused into the convolutions


@pytest.mark.filterwarnings("ignore")
def test_int8_convolutions_too_though_their_weights_are_packed(int8: Path) -> None:
    rows = {row.kind: row.operators for row in profile(int8, "onnxruntime", FRAMES, 1, "int8")}
    assert {kind: rows.get(kind) for kind in ("dense conv", "depthwise conv", "pointwise conv")} == dict.fromkeys(
        ("dense conv", "depthwise conv", "pointwise conv"), 1
    )
    assert rows["quantise / dequantise"] >= 1


def event(name: str, operator: str, microseconds: int, inputs: list[Any], output: list[int]) -> dict[str, Any]:
    facts = {"op_name": operator, "input_type_shape": inputs, "output_type_shape": [{"float": output}]}
    return {"name": name, "dur": microseconds, "args": facts}


def test_the_first_runs_do_not_count() -> None:
    events = [event("a_kernel_time", "Resize", duration, [], [1, 2, 4, 4]) for duration in (900, 3000, 2000)]
    assert read_onnxruntime(events, onnxruntime_kinds(events), 1) == [
        (":a_kernel_time", "resize", 3.0),
        (":a_kernel_time", "resize", 2.0),
    ]


def test_medians_are_added_up_by_kind() -> None:
    operators = {("a", "add"): 1.0, ("b", "add"): 0.5, ("c", "resize"): 4.0}
    assert by_kind(operators) == [KindTime("resize", 1, 4.0), KindTime("add", 2, 1.5)]


@pytest.mark.parametrize(
    ("kernel", "groups", "kind"),
    [
        ((8, 8, 3, 3), 1, "dense conv"),
        ((8, 8, 1, 1), 1, "pointwise conv"),
        ((8, 1, 5, 5), 8, "depthwise conv"),
        ((8, 2, 3, 3), 4, "grouped conv"),
    ],
)
def test_kinds_of_convolutions(kernel: tuple[int, ...], groups: int, kind: str) -> None:
    assert conv_kind(kernel, groups) == kind


def test_an_engine_without_a_profile(net: Path) -> None:
    with pytest.raises(EngineError, match="abacus has no profile"):
        profile(net, "abacus", FRAMES, 1, "float32")
