"""Each rewrite of a QDQ graph: the same numbers before and after, and what it is for."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from edgeseg_export.quantized_graph import (
    constants_to_initializers,
    drop_saturated_activations,
    keep_moved_values_quantised,
    quantise_biases,
    quantise_equal_weights,
    round_before_sums,
)
from tests.export.onnx_graphs import (
    KERNEL_SCALE,
    Part,
    convolution,
    kinds,
    model_of,
    rounding,
    run,
)


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

    def test_a_maximum_over_channels_is_on_the_grid_it_came_from(self) -> None:
        most = helper.make_node("ReduceMax", ["r", "axes"], ["m"], keepdims=1)
        part: Part = ([most, helper.make_node("Relu", ["m"], ["y"])], {"axes": np.array([1], np.int64)})
        model = model_of([rounding("x", "r", 0.05, 100), part], "y")
        before = run(model)
        assert keep_moved_values_quantised(model) == 1
        np.testing.assert_array_equal(run(model), before)

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


class TestQuantiseEqualWeights:
    def average(self, weight: npt.NDArray[np.float32]) -> ModelProto:
        conv = helper.make_node("Conv", ["r", "w"], ["y"], group=3, pads=[1, 1, 1, 1])
        return model_of([rounding("x", "r", 0.05, 100), ([conv], {"w": weight})], "y")

    def test_one_number_is_a_scale(self) -> None:
        model = self.average(np.full((3, 1, 3, 3), 1 / 9, np.float32))
        before = run(model)
        assert quantise_equal_weights(model) == 1
        onnx.checker.check_model(model, full_check=True)
        levels = next(item for item in model.graph.initializer if item.name == "w_levels")
        assert levels.data_type == TensorProto.INT8 and "w" not in {item.name for item in model.graph.initializer}
        np.testing.assert_array_equal(run(model), before)

    def test_other_weights_are_left_alone(self) -> None:
        weight = np.full((3, 1, 3, 3), 1 / 9, np.float32)
        weight[1, 0, 2, 2] = 0.1
        assert quantise_equal_weights(self.average(weight)) == 0
        assert quantise_equal_weights(self.average(np.zeros((3, 1, 3, 3), np.float32))) == 0
        assert quantise_equal_weights(model_of([rounding("x", "r", 0.05, 100), convolution("r", "y")], "y")) == 0


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
