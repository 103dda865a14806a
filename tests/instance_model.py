"""Instance models of no weights whose objects can be told by hand, for both kinds of outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from edgeseg_runtime.contract import CONTRACT_KEY, PRECISION_KEY, Contract, Label, Precision, Selection

BLOCK, STRIDE = 16, 2
FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


def instance_contract(output: str = "prototypes", **changes: object) -> Contract:
    """Return a contract of three classes, one a colour channel, for 48×64 input."""
    values: dict[str, object] = {
        "labels": (Label("red", (255, 0, 0)), Label("green", (0, 255, 0)), Label("blue", (0, 0, 255))),
        "height": 48,
        "width": 64,
        "task": "instance",
        "output": output,
        "selection": Selection((0.05, 0.05, 0.05)),
    }
    return Contract(**(values | changes))  # type: ignore[arg-type]


def write_instance_model(contract: Contract, path: Path, *, precision: Precision = "float32") -> Path:
    """Write an ONNX model that finds at most one object in each block of 16×16 pixels of its input.

    Its box is the block, its mask what is not dark there (channels that sum to more than 127), at a cell for 2×2
    pixels; its class's score is the mean of the class's channel in the block, in 0..1. With prototypes each block is a
    candidate twice, the second time with 0.9 of the score, one pixel to the right, so that there is a duplicate to
    leave out. With detections only blocks with a score of at least 0.05 are given, so that their number varies.
    """
    rows, columns = contract.height // BLOCK, contract.width // BLOCK
    left, top = np.meshgrid(np.arange(columns) * BLOCK, np.arange(rows) * BLOCK)
    blocks = np.stack([left, top, left + BLOCK, top + BLOCK], -1).reshape(-1, 4).astype(np.float32)
    constants: Tables = {"shares": np.array(1 / 255, np.float32)}
    nodes = [
        _node("Cast", ["image"], "real", to=FLOAT),
        _node("Transpose", ["real"], "planes", perm=[0, 3, 1, 2]),
        _node("AveragePool", ["planes"], "cells", kernel_shape=[STRIDE] * 2, strides=[STRIDE] * 2),
        _node("ReduceSum", ["cells", "axis"], "light", keepdims=1),
        _node("AveragePool", ["planes"], "means", kernel_shape=[BLOCK] * 2, strides=[BLOCK] * 2),
        _node("Mul", ["means", "shares"], "sure"),
        _node("Reshape", ["sure", "flat"], "rowed"),
        _node("Transpose", ["rowed"], "block scores", perm=[0, 2, 1]),
    ]
    constants |= {"axis": np.array([1], np.int64), "flat": np.array([1, 3, -1], np.int64)}
    build = _prototypes if contract.output == "prototypes" else _detections
    more, tables, outputs = build(blocks, contract)
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, [1, *contract.size, 3])
    tensors = [numpy_helper.from_array(value, name) for name, value in (constants | tables).items()]
    graph = helper.make_graph([*nodes, *more], "instances", [image], outputs, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, {CONTRACT_KEY: contract.to_json(), PRECISION_KEY: precision})
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    return path


Tables = dict[str, npt.NDArray[Any]]
Part = tuple[list[NodeProto], Tables, list[onnx.ValueInfoProto]]


def _prototypes(blocks: npt.NDArray[np.float32], contract: Contract) -> Part:
    count, (height, width) = 2 * len(blocks), contract.size
    boxes = np.concatenate([blocks, blocks + np.array([1, 0, 1, 0], np.float32)])[None]
    coefficients = np.tile(np.array([1, -127.5], np.float32), (1, count, 1))
    tables: Tables = {
        "all boxes": boxes,
        "all coefficients": coefficients,
        "less": np.array(0.9, np.float32),
        "one": np.ones((1, 1, height // STRIDE, width // STRIDE), np.float32),
    }
    nodes = [
        _node("Mul", ["block scores", "less"], "second"),
        _node("Concat", ["block scores", "second"], "scores", axis=1),
        _node("Concat", ["light", "one"], "prototypes", axis=1),
        _node("Identity", ["all boxes"], "boxes"),
        _node("Identity", ["all coefficients"], "coefficients"),
    ]
    shapes = {
        "prototypes": [1, 2, height // STRIDE, width // STRIDE],  # not in the contract's order, as graphs may have it
        "scores": [1, count, 3],
        "boxes": [1, count, 4],
        "coefficients": [1, count, 2],
    }
    return nodes, tables, [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in shapes.items()]


def _detections(blocks: npt.NDArray[np.float32], contract: Contract) -> Part:
    rows, columns, cells = contract.height // BLOCK, contract.width // BLOCK, BLOCK // STRIDE
    tables: Tables = {
        "all boxes": blocks,
        "least": np.array(0.05, np.float32),
        "grid": np.array([rows, cells, columns, cells], np.int64),
        "each": np.array([-1, cells, cells], np.int64),
        "first": np.array([0], np.int64),
        "none": np.array(0, np.float32),
        "whole": np.array(1, np.float32),
    }
    nodes = [
        _node("Squeeze", ["block scores", "first"], "by block"),
        _node("ReduceMax", ["by block"], "best", axes=[1], keepdims=0),
        _node("ArgMax", ["by block"], "class", axis=1, keepdims=0),
        _node("GreaterOrEqual", ["best", "least"], "enough"),
        _node("NonZero", ["enough"], "found"),
        _node("Squeeze", ["found", "first"], "places"),
        _node("Gather", ["best", "places"], "unsorted"),
        _node("Shape", ["unsorted"], "count"),
        helper.make_node("TopK", ["unsorted", "count"], ["scores", "order"]),
        _node("Gather", ["places", "order"], "chosen"),
        _node("Gather", ["all boxes", "chosen"], "boxes"),
        _node("Gather", ["class", "chosen"], "labels"),
        _node("Mul", ["light", "shares"], "lit"),
        _node("Clip", ["lit", "none", "whole"], "clear"),
        _node("Reshape", ["clear", "grid"], "tiles"),
        _node("Transpose", ["tiles"], "tiled", perm=[0, 2, 1, 3]),
        _node("Reshape", ["tiled", "each"], "all masks"),
        _node("Gather", ["all masks", "chosen"], "masks"),
    ]
    outputs = [
        helper.make_tensor_value_info("masks", FLOAT, ["n", cells, cells]),
        helper.make_tensor_value_info("boxes", FLOAT, ["n", 4]),
        helper.make_tensor_value_info("labels", INT64, ["n"]),
        helper.make_tensor_value_info("scores", FLOAT, ["n"]),
    ]
    return nodes, tables, outputs


def _node(kind: str, inputs: list[str], output: str, **attributes: Any) -> NodeProto:
    return helper.make_node(kind, inputs, [output], **attributes)
