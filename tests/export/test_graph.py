from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from edgeseg_export.graph import feed_frames_directly, fold_input_scale, set_metadata

RNG = np.random.default_rng(0)
WEIGHT = RNG.normal(size=(4, 3, 3, 3)).astype(np.float32)
SCALE = np.array([0.5, 2, 3], np.float32).reshape(1, 3, 1, 1)


def model_of(
    nodes: list[Any], constants: dict[str, Any], outputs: list[str], kind: int = TensorProto.FLOAT
) -> ModelProto:
    image = helper.make_tensor_value_info("x", kind, [1, 3, 8, 9])
    graph = helper.make_graph(
        nodes,
        "g",
        [image],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * 4) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)


def conv(source: str, weight: str, output: str, **attributes: Any) -> Any:
    return helper.make_node("Conv", [source, weight], [output], pads=[1, 1, 1, 1], **attributes)


def run(model: ModelProto, value: Any) -> list[Any]:
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    found: list[Any] = session.run(None, {"x": value})
    return found


def kinds(model: ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


class TestFoldInputScale:
    @pytest.mark.parametrize("swapped", [False, True])
    def test_the_product_goes_and_the_numbers_stay(self, swapped: bool) -> None:
        names = ["s", "x"] if swapped else ["x", "s"]
        nodes = [helper.make_node("Mul", names, ["m"]), conv("m", "w", "y", strides=[2, 2])]
        model = model_of(nodes, {"s": SCALE, "w": WEIGHT}, ["y"])
        value = RNG.normal(size=(1, 3, 8, 9)).astype(np.float32)
        before = run(model, value)
        assert fold_input_scale(model)
        assert kinds(model) == ["Conv"]
        assert [item.name for item in model.graph.initializer] == ["w"]
        np.testing.assert_allclose(run(model, value)[0], before[0], rtol=1e-5, atol=1e-5)

    def test_two_convolutions_may_read_it(self) -> None:
        nodes = [helper.make_node("Mul", ["x", "s"], ["m"]), conv("m", "w", "y"), conv("m", "v", "z")]
        model = model_of(nodes, {"s": SCALE, "w": WEIGHT, "v": 2 * WEIGHT}, ["y", "z"])
        value = RNG.normal(size=(1, 3, 8, 9)).astype(np.float32)
        before = run(model, value)
        assert fold_input_scale(model)
        for one, other in zip(run(model, value), before, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)

    @pytest.mark.parametrize(
        "case", ["shared weight", "whole picture", "three dimensions", "also an output", "other reader", "grouped"]
    )
    def test_what_cannot_be_folded_is_left_alone(self, case: str) -> None:
        constants = {"s": SCALE, "w": WEIGHT}
        nodes = [helper.make_node("Mul", ["x", "s"], ["m"]), conv("m", "w", "y")]
        outputs = ["y"]
        if case == "shared weight":
            nodes.append(conv("x", "w", "z"))
            outputs.append("z")
        elif case == "whole picture":
            constants["s"] = RNG.normal(size=(1, 3, 8, 9)).astype(np.float32)
        elif case == "three dimensions":
            constants["s"] = SCALE[0]
        elif case == "also an output":
            outputs.append("m")
        elif case == "other reader":
            nodes.append(helper.make_node("Relu", ["m"], ["z"]))
            outputs.append("z")
        else:
            constants["w"] = WEIGHT[:3, :1].copy()
            nodes[1] = conv("m", "w", "y", group=3)
        model = model_of(nodes, constants, outputs)
        before = model.SerializeToString(deterministic=True)
        value = RNG.normal(size=(1, 3, 8, 9)).astype(np.float32)
        run(model, value)
        assert not fold_input_scale(model)
        assert model.SerializeToString(deterministic=True) == before


def quantised_input(mean: Any, reader: str = "DequantizeLinear") -> ModelProto:
    """`Cast → Sub → Q → DQ → Conv`, its range that of the pixels: no value is rounded."""
    nodes = [
        helper.make_node("Cast", ["x"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["real", "mean"], ["centred"]),
        helper.make_node("QuantizeLinear", ["centred", "one", "zero"], ["q"]),
    ]
    if reader == "DequantizeLinear":
        nodes += [helper.make_node("DequantizeLinear", ["q", "one", "zero"], ["dq"]), conv("dq", "w", "y")]
    else:
        nodes += [helper.make_node("Cast", ["q"], ["y"], to=TensorProto.FLOAT)]
    constants = {
        "mean": np.array(mean, np.float32).reshape(1, -1, 1, 1),
        "one": np.array(1, np.float32),
        "zero": np.array(128, np.uint8),
        "w": WEIGHT,
    }
    if reader != "DequantizeLinear":
        del constants["w"]
    return model_of(nodes, constants, ["y"], TensorProto.UINT8)


class TestFeedFramesDirectly:
    def test_the_frame_is_the_first_quantised_tensor(self) -> None:
        model = quantised_input([128, 128, 128])
        value = RNG.integers(0, 256, (1, 3, 8, 9), dtype=np.uint8)
        before = run(model, value)
        assert feed_frames_directly(model)
        assert kinds(model) == ["DequantizeLinear", "Conv"]
        np.testing.assert_array_equal(run(model, value)[0], before[0])

    @pytest.mark.parametrize("mean", [[123.7, 116.3, 103.5], [127.5, 127.5, 127.5], [128, 128, 127], [300, 300, 300]])
    def test_other_means_are_refused(self, mean: list[float]) -> None:
        model = quantised_input(mean)
        before = model.SerializeToString(deterministic=True)
        assert not feed_frames_directly(model)
        assert model.SerializeToString(deterministic=True) == before

    def test_another_reader_is_refused(self) -> None:
        assert not feed_frames_directly(quantised_input([128], reader="Cast"))

    def test_a_graph_without_quantisation_is_refused(self) -> None:
        nodes = [
            helper.make_node("Cast", ["x"], ["real"], to=TensorProto.FLOAT),
            helper.make_node("Sub", ["real", "mean"], ["c"]),
            conv("c", "w", "y"),
        ]
        constants = {"mean": np.full((1, 3, 1, 1), 128, np.float32), "w": WEIGHT}
        assert not feed_frames_directly(model_of(nodes, constants, ["y"], TensorProto.UINT8))


def test_metadata_is_added_and_replaced() -> None:
    model = model_of([conv("x", "w", "y")], {"w": WEIGHT}, ["y"])
    set_metadata(model, {"a": "1", "b": "2"})
    set_metadata(model, {"b": "3"})
    assert {item.key: item.value for item in model.metadata_props} == {"a": "1", "b": "3"}
