"""Small ONNX graphs, run as they are written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

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


def model_of(parts: Sequence[Part], *outputs: str, kind: int = TensorProto.FLOAT, rank: int = 4) -> ModelProto:
    """Return a checked model that reads `x`, of the shape of VALUES."""
    nodes = [node for part, _ in parts for node in part]
    constants = {name: value for _, part in parts for name, value in part.items()}
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", kind, VALUES.shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * rank) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    onnx.checker.check_model(model)
    return model


def run(model: ModelProto, values: npt.NDArray[Any] = VALUES) -> npt.NDArray[Any]:
    """Return the first output; see `run_all`."""
    return run_all(model, values)[0]


def run_all(model: ModelProto, values: npt.NDArray[Any] = VALUES) -> list[npt.NDArray[Any]]:
    """Run as written, not as ONNX Runtime would rather have it, and return every output."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    result: list[npt.NDArray[Any]] = session.run(None, {"x": values})
    return result


def kinds(model: ModelProto) -> list[str]:
    """Return the operators in their order."""
    return [node.op_type for node in model.graph.node]


def optimised_kinds(file: Path, written: Path) -> list[str]:
    """Return the operators that ONNX Runtime makes of a file on this machine; it writes them to `written`."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(written)
    options.log_severity_level = 3  # it remarks that the optimised file fits this machine only
    onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return kinds(onnx.load(written))


def pixels_read_as_one(model: ModelProto) -> int:
    """Return how many pixels of the frame are one further on."""
    frame = model.graph.input[0].name
    reader = next(node for node in model.graph.node if frame in node.input)
    if reader.op_type != "Reshape":
        return 1
    shape = next(item for item in model.graph.initializer if item.name == reader.input[1])
    return int(numpy_helper.to_array(shape)[-1]) // 3
