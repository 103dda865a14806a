"""Each rewrite of a QDQ graph: the same numbers before and after, and what it is for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from edgeseg_export.quantized_graph import (
    average_globally,
    constants_to_initializers,
    drop_saturated_activations,
    keep_moved_values_quantised,
    quantise_biases,
    round_before_sums,
)
from edgeseg_export.quantized_input import take_frames_as_quantised

RNG = np.random.default_rng(0)
VALUES = (4 * RNG.standard_normal((1, 3, 8, 10))).astype(np.float32)
FRAMES = RNG.integers(0, 256, (1, 3, 8, 10), dtype=np.uint8)
KERNEL = RNG.integers(-127, 128, (4, 3, 3, 3), dtype=np.int8)
KERNEL_SCALE = np.array([0.01, 0.02, 0.004, 0.03], np.float32)


Part = tuple[list[NodeProto], dict[str, Any]]


def rounding(source: str, name: str, scale: float, zero_point: int) -> Part:
    """Return the nodes from `source` to the rounded `name`, and their constants."""
    grid = [f"{name}_s", f"{name}_z"]
    nodes = [
        helper.make_node("QuantizeLinear", [source, *grid], [f"{name}_q"]),
        helper.make_node("DequantizeLinear", [f"{name}_q", *grid], [name]),
    ]
    return nodes, {grid[0]: np.array(scale, np.float32), grid[1]: np.array(zero_point, np.uint8)}


def convolution(source: str, name: str, bias: bool = True) -> Part:
    """Return an int8 convolution whose bias is float."""
    inputs = [source, f"{name}_w", *([f"{name}_b"] if bias else [])]
    nodes = [
        helper.make_node("DequantizeLinear", [f"{name}_k", f"{name}_ks"], [f"{name}_w"], axis=0),
        helper.make_node("Conv", inputs, [name], pads=[1, 1, 1, 1]),
    ]
    constants = {f"{name}_k": KERNEL, f"{name}_ks": KERNEL_SCALE}
    return nodes, constants | ({f"{name}_b": np.array([1, -2, 0.3, 7], np.float32)} if bias else {})


def model_of(parts: Sequence[Part], output: str, kind: int = TensorProto.FLOAT, rank: int = 4) -> ModelProto:
    nodes = [node for part, _ in parts for node in part]
    constants = {name: value for _, part in parts for name, value in part.items()}
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", kind, VALUES.shape)],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, [None] * rank)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    onnx.checker.check_model(model)
    return model


def run(model: ModelProto, values: npt.NDArray[Any] = VALUES) -> npt.NDArray[Any]:
    """Run as written, not as ONNX Runtime would rather have it."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    result: npt.NDArray[Any] = session.run(None, {"x": values})[0]
    return result


def kinds(model: ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


class TestDropSaturatedActivations:
    @pytest.mark.parametrize(
        ("activation", "scale", "zero_point", "dropped"),
        [
            ("Relu", 0.02, 0, True),
            ("Relu", 0.02, 3, False),  # its grid reaches below zero
            ("Clip", 6 / 255, 0, True),
            ("Clip", 0.01, 0, True),
            ("Clip", 0.03, 0, False),  # its grid reaches above six
            ("Clip", 6 / 255, 2, False),
        ],
    )
    def test_only_what_the_grid_does_as_well(
        self, activation: str, scale: float, zero_point: int, dropped: bool
    ) -> None:
        bounds = {"zero": np.array(0, np.float32), "six": np.array(6, np.float32)} if activation == "Clip" else {}
        clip = ([helper.make_node(activation, ["x", *bounds], ["r"])], bounds)
        model = model_of([clip, rounding("r", "y", scale, zero_point)], "y")
        before = run(model)
        assert drop_saturated_activations(model) == dropped
        assert (activation not in kinds(model)) == dropped
        np.testing.assert_array_equal(run(model), before)

    def test_a_reader_that_does_not_round_needs_it(self) -> None:
        relu: Part = ([helper.make_node("Relu", ["x"], ["r"])], {})
        both: Part = ([helper.make_node("Add", ["r", "y"], ["z"])], {})
        assert not drop_saturated_activations(model_of([relu, rounding("r", "y", 0.02, 0), both], "z"))


class TestTakeFramesAsQuantised:
    def model(self, mean: list[float], factor: list[float], scale: float, zero_point: int) -> ModelProto:
        constants = {
            "mean": np.array(mean, np.float32).reshape(1, 3, 1, 1),
            "factor": np.array(factor, np.float32).reshape(1, 3, 1, 1),
        }
        nodes = [
            helper.make_node("Cast", ["x"], ["real"], to=TensorProto.FLOAT),
            helper.make_node("Sub", ["real", "mean"], ["centred"]),
            helper.make_node("Mul", ["centred", "factor"], ["normal"]),
        ]
        parts = [(nodes, constants), rounding("normal", "image", scale, zero_point), convolution("image", "y")]
        return model_of(parts, "y", TensorProto.UINT8)

    @pytest.mark.parametrize(
        ("directly", "left"),
        [
            (True, ["DequantizeLinear", "DequantizeLinear", "Conv"]),
            (False, ["Cast", "Sub", "QuantizeLinear", "DequantizeLinear", "DequantizeLinear", "Conv"]),
        ],
    )
    def test_the_frame_is_the_first_quantised_tensor(self, directly: bool, left: list[str]) -> None:
        model = self.model([128] * 3, [1 / 63.75] * 3, 1 / 63.75, 128)
        before = run(model, FRAMES)
        assert take_frames_as_quantised(model, directly=directly)
        assert kinds(model) == left
        np.testing.assert_allclose(run(model, FRAMES), before, rtol=1e-4, atol=1e-4)

    @pytest.mark.parametrize(
        ("mean", "factor", "scale", "zero_point"),
        [
            ([123.7, 116.3, 103.5], [0.017, 0.018, 0.017], 0.019, 111),
            ([128] * 3, [1 / 63.75] * 3, 1 / 64, 128),
            ([128] * 3, [1 / 63.75] * 3, 1 / 63.75, 126),
        ],
    )
    def test_other_normalisations_stay_and_the_weights_take_the_scale(
        self, mean: list[float], factor: list[float], scale: float, zero_point: int
    ) -> None:
        model = self.model(mean, factor, scale, zero_point)
        before, nodes = run(model, FRAMES), kinds(model)
        assert take_frames_as_quantised(model, directly=True)
        assert kinds(model) == nodes
        np.testing.assert_allclose(run(model, FRAMES), before, rtol=1e-4, atol=1e-4)

    def test_short_products_come_out_exact(self) -> None:
        model = self.model([128] * 3, [1 / 63.75] * 3, 1 / 63.75, 128)
        constants = {item.name: item for item in model.graph.initializer}
        wanted = np.array([0.75, 1.25, 31 / 1024, 2**-7], np.float32)
        inexact = wanted / numpy_helper.to_array(constants["image_s"])
        constants["y_ks"].CopyFrom(numpy_helper.from_array(inexact, "y_ks"))
        take_frames_as_quantised(model, directly=True)
        found = next(item for item in model.graph.initializer if item.name == "y_ks_of_frames")
        np.testing.assert_array_equal(numpy_helper.to_array(found), wanted)

    def test_another_reader_of_the_frame_is_refused(self) -> None:
        model = self.model([128] * 3, [1 / 63.75] * 3, 1 / 63.75, 128)
        model.graph.node.append(helper.make_node("Relu", ["image"], ["z"]))
        assert not take_frames_as_quantised(model, directly=True)

    def test_a_graph_without_normalisation_is_refused(self) -> None:
        assert not take_frames_as_quantised(
            model_of([rounding("x", "r", 0.1, 3), convolution("r", "y")], "y"), directly=True
        )


class TestAverageGlobally:
    @pytest.mark.parametrize(("axes", "keep", "done"), [([2, 3], 1, 1), ([-1, -2], 1, 1), ([3], 1, 0), ([2, 3], 0, 0)])
    def test_means_over_the_picture_only(self, axes: list[int], keep: int, done: int) -> None:
        mean = helper.make_node("ReduceMean", ["x", "axes"], ["y"], keepdims=keep)
        model = model_of([([mean], {"axes": np.array(axes, np.int64)})], "y", rank=4 if keep else 2)
        before = run(model)
        assert average_globally(model) == done
        assert kinds(model) == ["GlobalAveragePool" if done else "ReduceMean"]
        np.testing.assert_allclose(run(model), before, rtol=1e-6, atol=1e-6)


class TestKeepMovedValuesQuantised:
    def join(self, *grids: tuple[float, int]) -> ModelProto:
        parts = [rounding("x", f"r{place}", *grid) for place, grid in enumerate(grids)]
        names = [f"r{place}" for place in range(len(grids))]
        pool = helper.make_node("MaxPool", ["j"], ["m"], kernel_shape=[2, 2], strides=[2, 2])
        last = helper.make_node("Relu", ["m"], ["y"])
        return model_of([*parts, ([helper.make_node("Concat", names, ["j"], axis=1), pool, last], {})], "y")

    def test_a_chain_of_movers_keeps_its_grid(self) -> None:
        model = self.join((0.05, 100), (0.05, 100))
        before = run(model)
        assert keep_moved_values_quantised(model) == 2
        onnx.checker.check_model(model)
        np.testing.assert_array_equal(run(model), before)
        producers = {node.output[0]: node for node in model.graph.node}
        relu = model.graph.node[-1]
        assert producers[relu.input[0]].op_type == "DequantizeLinear"

    @pytest.mark.parametrize("other", [(0.05, 101), (0.06, 100)])
    def test_different_grids_are_left_alone(self, other: tuple[float, int]) -> None:
        assert keep_moved_values_quantised(self.join((0.05, 100), other)) == 0

    def test_what_is_rounded_already_is_left_alone(self) -> None:
        pool: Part = ([helper.make_node("MaxPool", ["r"], ["m"], kernel_shape=[2, 2])], {})
        model = model_of([rounding("x", "r", 0.05, 100), pool, rounding("m", "y", 0.1, 90)], "y")
        assert keep_moved_values_quantised(model) == 0


class TestQuantiseBiases:
    def test_they_are_int32_in_steps_of_the_products(self) -> None:
        model = model_of([rounding("x", "r", 0.05, 100), convolution("r", "y")], "y")
        before = run(model)
        assert quantise_biases(model) == 1
        onnx.checker.check_model(model, full_check=True)
        levels = next(item for item in model.graph.initializer if item.name == "y_b_levels")
        assert levels.data_type == TensorProto.INT32
        np.testing.assert_array_equal(
            numpy_helper.to_array(levels), np.rint(np.array([1, -2, 0.3, 7]) / (0.05 * KERNEL_SCALE)).astype(int)
        )
        step = 0.05 * KERNEL_SCALE.max()
        np.testing.assert_allclose(run(model), before, atol=step / 2 + 1e-4)
        assert "y_b" not in {item.name for item in model.graph.initializer}

    def test_float_convolutions_and_those_without_bias_are_left_alone(self) -> None:
        assert quantise_biases(model_of([convolution("x", "y")], "y")) == 0
        parts = [rounding("x", "r", 0.05, 100), convolution("r", "y", bias=False)]
        assert quantise_biases(model_of(parts, "y")) == 0


class TestRoundBeforeSums:
    def test_values_stay_and_the_rounding_is_in_sight(self) -> None:
        add: Part = ([helper.make_node("Add", ["other", "c"], ["s"])], {})
        parts = [rounding("x", "r", 0.5, 100), convolution("r", "k"), rounding("k", "c", 0.25, 100)]
        parts += [convolution("r", "k2"), rounding("k2", "other", 0.25, 90), add, rounding("s", "y", 0.5, 90)]
        model = model_of(parts, "y")
        before = run(model)
        assert round_before_sums(model) == 2
        onnx.checker.check_model(model, full_check=True)
        assert kinds(model).count("Round") == 2
        np.testing.assert_array_equal(run(model), before)

    def test_other_quantisers_are_left_alone(self) -> None:
        parts = [rounding("x", "r", 0.5, 100), convolution("r", "k"), rounding("k", "y", 0.25, 100)]
        assert round_before_sums(model_of(parts, "y")) == 0


def test_constants_become_initializers() -> None:
    tensor = numpy_helper.from_array(np.array(2, np.float32), "")
    nodes = [helper.make_node("Constant", [], ["two"], value=tensor), helper.make_node("Mul", ["x", "two"], ["y"])]
    model = model_of([(nodes, {})], "y")
    before = run(model)
    constants_to_initializers(model)
    assert kinds(model) == ["Mul"]
    np.testing.assert_array_equal(run(model), before)
