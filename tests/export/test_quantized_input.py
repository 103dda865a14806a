"""The frame as the first quantised tensor: the same numbers, or left alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from edgeseg_export.quantized_input import feed_frames_directly, take_frames_as_quantised
from tests.export.onnx_graphs import (
    FRAMES,
    KERNEL,
    convolution,
    kinds,
    model_of,
    rounding,
    run,
)


def conv(source: str, weight: str, output: str, **attributes: Any) -> Any:
    return helper.make_node("Conv", [source, weight], [output], pads=[1, 1, 1, 1], **attributes)


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
        "w": KERNEL.astype(np.float32),
    }
    if reader != "DequantizeLinear":
        del constants["w"]
    return model_of([(nodes, constants)], "y", kind=TensorProto.UINT8)


class TestFeedFramesDirectly:
    def test_the_frame_is_the_first_quantised_tensor(self) -> None:
        model = quantised_input([128, 128, 128])
        before = run(model, FRAMES)
        assert feed_frames_directly(model)
        assert kinds(model) == ["DequantizeLinear", "Conv"]
        np.testing.assert_array_equal(run(model, FRAMES), before)

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
        constants = {"mean": np.full((1, 3, 1, 1), 128, np.float32), "w": KERNEL.astype(np.float32)}
        assert not feed_frames_directly(model_of([(nodes, constants)], "y", kind=TensorProto.UINT8))


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
        return model_of(parts, "y", kind=TensorProto.UINT8)

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
