"""Fixtures for every floor: a model so small that its masks can be told by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import onnx
import pytest
from numpy import array, int64
from onnx import TensorProto, helper, numpy_helper

from edgeseg_runtime.contract import CONTRACT_KEY, PRECISION_KEY, Contract, Label, Precision


class TinyModel(Protocol):
    """Writes an ONNX model of no weights; see `tiny_model`."""

    def __call__(
        self, contract: Contract, path: Path, *, stride: int = 1, precision: Precision = "float32"
    ) -> Path: ...


@pytest.fixture
def colour_contract() -> Contract:
    """Three classes, one a colour channel, at 24×32: class 0 where red is strongest, 1 green, 2 blue."""
    labels = (Label("red", (255, 0, 0)), Label("green", (0, 255, 0)), Label("blue", (0, 0, 255)))
    return Contract(labels=labels, height=24, width=32)


@pytest.fixture
def tiny_model() -> TinyModel:
    """Return a function that writes an ONNX model whose score of class `i` is the input's channel `i`.

    Scores are float32 in 0..255, averaged over `stride`×`stride` pixels. With `output="mask"` in the contract they
    are brought back to the input's size (bilinear, half-pixel centres) and the uint8 arg-max is given. The contract
    and the precision are embedded, as the exporter does.
    """
    return _write_tiny_model


def _write_tiny_model(contract: Contract, path: Path, *, stride: int = 1, precision: Precision = "float32") -> Path:
    if not 1 <= len(contract.labels) <= 3:
        raise ValueError("a picture has three channels, so the tiny model has one to three classes")
    if contract.height % stride or contract.width % stride:
        raise ValueError(f"stride {stride} does not divide {contract.height}×{contract.width}")
    classes, rows, columns = len(contract.labels), contract.height // stride, contract.width // stride
    constants = [numpy_helper.from_array(array(range(classes), int64), "channels")]
    nodes = [
        helper.make_node("Cast", ["image"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["real"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Gather", ["planes", "channels"], ["chosen"], axis=1),
        helper.make_node(
            "AveragePool", ["chosen"], ["scores"], kernel_shape=[stride, stride], strides=[stride, stride]
        ),
    ]
    output = helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, classes, rows, columns])
    if contract.output == "mask":
        constants.append(numpy_helper.from_array(array([1, classes, *contract.size], int64), "size"))
        nodes += [
            helper.make_node(
                "Resize",
                ["scores", "", "", "size"],
                ["full"],
                mode="linear",
                coordinate_transformation_mode="half_pixel",
            ),
            helper.make_node("ArgMax", ["full"], ["index"], axis=1, keepdims=0),
            helper.make_node("Cast", ["index"], ["mask"], to=TensorProto.UINT8),
        ]
        output = helper.make_tensor_value_info("mask", TensorProto.UINT8, [1, *contract.size])
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, [1, *contract.size, 3])
    graph = helper.make_graph(nodes, "tiny", [image], [output], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, {CONTRACT_KEY: contract.to_json(), PRECISION_KEY: precision})
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    return path
