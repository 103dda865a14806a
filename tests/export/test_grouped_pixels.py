"""Convolutions of the frame over groups of pixels: the same integers, or left alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from edgeseg_export.grouped_pixels import group_pixels, narrow, widen
from tests.export.onnx_graphs import kinds, optimised_kinds, rounding, run, run_all

RNG = np.random.default_rng(0)
HEIGHT, WIDTH = 17, 24
FRAMES = RNG.integers(0, 256, (2, HEIGHT, WIDTH, 3), dtype=np.uint8)


def stem(
    name: str,
    *,
    size: int = 3,
    stride: int = 2,
    padding: Sequence[int] | None = None,
    outputs: int = 5,
    bias: bool = True,
    relu: bool = True,
    **settings: Any,
) -> tuple[list[NodeProto], dict[str, Any]]:
    """Return an int8 convolution of the dequantised frame `dq`, and its rounded output `name`."""
    pads = list(padding or [size // 2] * 4)
    depth = 3 // settings.get("group", 1)
    constants = {
        f"{name}_k": RNG.integers(-127, 128, (outputs, depth, size, size), dtype=np.int8),
        f"{name}_ks": RNG.uniform(0.001, 0.01, outputs).astype(np.float32),
        f"{name}_kz": np.zeros(outputs, np.int8),
        f"{name}_b": RNG.integers(-3000, 3000, outputs, dtype=np.int32),
    }
    nodes = [
        helper.make_node("DequantizeLinear", [f"{name}_k", f"{name}_ks", f"{name}_kz"], [f"{name}_w"], axis=0),
        helper.make_node("DequantizeLinear", [f"{name}_b", f"{name}_ks"], [f"{name}_c"], axis=0),
        helper.make_node(
            "Conv",
            ["dq", f"{name}_w", *[f"{name}_c"] * bias],
            [f"{name}_y"],
            pads=pads,
            strides=[stride, stride],
            **settings,
        ),
        helper.make_node("Relu" if relu else "Clip", [f"{name}_y"], [f"{name}_r"]),
    ]
    if not bias:
        del nodes[1], constants[f"{name}_b"]
    rounded, grid = rounding(f"{name}_r", name, 1.0, 0 if relu else 90)
    return [*nodes, *rounded], constants | grid


def pointwise(source: str, name: str, inputs: int) -> tuple[list[NodeProto], dict[str, Any]]:
    """Return an int8 1×1 convolution of a rounded tensor, and its rounded output."""
    nodes = [
        helper.make_node("DequantizeLinear", [f"{name}_k", f"{name}_ks"], [f"{name}_w"]),
        helper.make_node("Conv", [source, f"{name}_w"], [f"{name}_y"]),
    ]
    kernel = RNG.integers(-127, 128, (8, inputs, 1, 1), dtype=np.int8)
    rounded, grid = rounding(f"{name}_y", name, 0.3, 128)
    return [*nodes, *rounded], {f"{name}_k": kernel, f"{name}_ks": np.array(0.01, np.float32)} | grid


def model_of(parts: Sequence[Any], *outputs: str, shape: Sequence[Any] = (2, HEIGHT, WIDTH, 3)) -> ModelProto:
    """Return a checked model that reads uint8 frames `x` and dequantises them as `dq`."""
    grid = {"one": np.array(1, np.float32), "middle": np.array(128, np.uint8)}
    nodes = [
        helper.make_node("Transpose", ["x"], ["first"], perm=[0, 3, 1, 2]),
        helper.make_node("DequantizeLinear", ["first", "one", "middle"], ["dq"]),
        *[node for part, _ in parts for node in part],
    ]
    constants = grid | {name: value for _, part in parts for name, value in part.items()}
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * 4) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    return onnx.shape_inference.infer_shapes(model, strict_mode=True)


def kernels(model: ModelProto) -> list[tuple[int, ...]]:
    constants = {item.name: item for item in model.graph.initializer}
    return sorted(tuple(item.dims) for item in constants.values() if len(item.dims) == 4)


@given(st.data())
def test_a_wide_kernel_makes_the_same_sums(data: st.DataObject) -> None:
    size, stride = data.draw(st.integers(1, 7)), data.draw(st.sampled_from([1, 2, 3, 4]))
    padding, groups = data.draw(st.integers(0, 4)), data.draw(st.integers(1, 4))
    pixels = stride * data.draw(st.integers(1, 4))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    kernel = rng.integers(-9, 10, (2, 3, 2, size))
    width = groups * pixels
    picture = torch.from_numpy(rng.integers(-9, 10, (1, 3, 4, width))).double()
    wide, (before, after) = widen(kernel, stride, padding, pixels)
    # so many zeros at the end that there is an output for every stride
    end = max(0, (width // stride - 1) * stride + size - width - padding)
    plain = F.conv2d(F.pad(picture, (padding, end)), torch.from_numpy(kernel).double(), stride=(1, stride))
    grouped = picture.permute(0, 2, 3, 1).reshape(1, 4, groups, 3 * pixels).permute(0, 3, 1, 2)
    made = F.conv2d(F.pad(grouped, (before, after)), torch.from_numpy(wide).double())
    outputs = made.permute(0, 2, 3, 1).reshape(1, 3, width // stride, 2).permute(0, 3, 1, 2)
    assert torch.equal(outputs, plain[..., : width // stride])
    np.testing.assert_array_equal(narrow(wide, kernel.shape, padding), kernel)


class TestGroupPixels:
    @pytest.mark.parametrize(
        ("settings", "kernel"),
        [
            ({}, (10, 12, 3, 2)),
            ({"bias": False, "relu": False}, (10, 12, 3, 2)),
            ({"stride": 1}, (20, 12, 3, 3)),
            ({"size": 7, "stride": 4}, (5, 12, 7, 2)),
            ({"size": 2, "padding": [0, 0, 0, 0]}, (10, 12, 2, 1)),
            ({"size": 4, "padding": [1, 1, 2, 1]}, (10, 12, 4, 3)),
            ({"size": 7, "stride": 3}, (10, 18, 7, 3)),
        ],
    )
    def test_the_same_numbers(self, settings: dict[str, Any], kernel: tuple[int, ...]) -> None:
        model = model_of([stem("y", **settings)], "y")
        before = run(model, FRAMES)
        assert len(np.unique(before)) > 15
        assert group_pixels(model) == 1
        onnx.checker.check_model(model, full_check=True)
        assert kernels(model) == [kernel]
        np.testing.assert_array_equal(run(model, FRAMES), before)

    def test_two_of_different_strides(self) -> None:
        model = model_of([stem("y", stride=4, size=5), stem("z", stride=1)], "y", "z")
        before = run_all(model, FRAMES)
        assert group_pixels(model) == 2
        for made, expected in zip(run_all(model, FRAMES), before, strict=True):
            np.testing.assert_array_equal(made, expected)

    def test_batch_and_height_may_be_open(self) -> None:
        model = model_of([stem("y")], "y", shape=["batch", "height", WIDTH, 3])
        before = run(model, FRAMES)
        assert group_pixels(model) == 1
        np.testing.assert_array_equal(run(model, FRAMES), before)

    def test_the_runtime_moves_nothing_for_it(self, tmp_path: Path) -> None:
        parts = [stem("y", outputs=8), pointwise("y", "z", 8)]
        plain, grouped = (model_of(parts, "z") for _ in range(2))
        group_pixels(grouped)
        found = []
        for name, model in (("plain", plain), ("grouped", grouped)):
            onnx.save(model, tmp_path / f"{name}.onnx")
            found.append(optimised_kinds(tmp_path / f"{name}.onnx", tmp_path / f"{name}.optimised.onnx"))
        assert [kind for kind in found[1] if kind != "Reshape"] == found[0]

    @pytest.mark.parametrize(
        "model",
        [
            model_of([stem("y")], "y", shape=[2, HEIGHT, "width", 3]),
            model_of([stem("y")], "y", shape=[2, HEIGHT, WIDTH - 2, 3]),
            model_of([stem("y", size=5, padding=[0, 0, 0, 0])], "y"),
            model_of([stem("y", group=3, outputs=6)], "y"),
            model_of([stem("y", dilations=[2, 2], padding=[2, 2, 2, 2])], "y"),
            model_of([stem("y")], "y", "y_r"),
            model_of([stem("y"), ([helper.make_node("Neg", ["dq"], ["z"])], {})], "y", "z"),
            model_of([stem("y"), ([helper.make_node("Neg", ["y_w"], ["z"])], {})], "y", "z"),
        ],
        ids=["open width", "width", "no outputs at the end", "depthwise", "dilated", "output", "reader", "kernel read"],
    )
    def test_others_are_left_alone(self, model: ModelProto) -> None:
        before = model.SerializeToString(deterministic=True)
        assert group_pixels(model) == 0
        assert model.SerializeToString(deterministic=True) == before

    def test_a_float_graph_is_left_alone(self) -> None:
        nodes = [helper.make_node("Conv", ["dq", "w"], ["y"])]
        model = model_of([(nodes, {"w": RNG.standard_normal((4, 3, 3, 3)).astype(np.float32)})], "y")
        assert group_pixels(model) == 0
        assert kinds(model) == ["Transpose", "DequantizeLinear", "Conv"]
