"""Rewrites of QDQ graphs, so that engines find their int8 kernels. Each is exact but for float32's own rounding."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper

from edgeseg_export.graph import (
    add_constant,
    constants_of,
    consumers,
    drop_unused_constants,
    producers_of,
    values_of,
)

MOVERS = ("Concat", "MaxPool", "ReduceMax", "Reshape", "Flatten")
"""Operators whose output holds values of their inputs."""
LAST_LEVEL = 255
"""Highest level of a uint8 grid."""


def constants_to_initializers(model: ModelProto) -> None:
    """Store what `Constant` nodes give as initializers, where the other rewrites look for it."""
    for node in [node for node in model.graph.node if node.op_type == "Constant"]:
        tensor = TensorProto()
        tensor.CopyFrom(helper.get_node_attr_value(node, "value"))
        tensor.name = node.output[0]
        model.graph.initializer.append(tensor)
        model.graph.node.remove(node)


def drop_saturated_activations(model: ModelProto) -> int:
    """Remove ReLUs and clips whose bounds the quantiser behind them has as well; return how many.

    Between a convolution and its quantiser they hide from ONNX Runtime that both are one int8 operator.
    """
    constants, users = constants_of(model), consumers(model)
    found = [
        node
        for node in model.graph.node
        if node.op_type in ("Relu", "Clip")
        and users[node.output[0]]
        and all(_saturates(node, reader, constants) for reader in users[node.output[0]])
    ]
    for node in found:
        for reader in users[node.output[0]]:
            reader.input[0] = node.input[0]
        model.graph.node.remove(node)
    return len(found)


def _saturates(node: NodeProto, reader: NodeProto, constants: Mapping[str, TensorProto]) -> bool:
    if reader.op_type != "QuantizeLinear":
        return False
    bounds = [0.0, np.inf]
    for place, name in enumerate(node.input[1:]):
        if name and name not in constants:
            return False
        bounds[place] = float(values_of(constants, name)) if name else (-np.inf, np.inf)[place]
    scale, zero_point = (values_of(constants, name) for name in reader.input[1:3])
    lowest, highest = (np.rint(bound / scale) + zero_point.astype(np.int32) for bound in bounds)
    return bool(zero_point.dtype == np.uint8 and lowest <= 0 and highest >= LAST_LEVEL)


def keep_moved_values_quantised(model: ModelProto) -> int:
    """Put a quantiser of the same grid behind operators that only move values of one grid; return how many.

    The values lie on that grid, so it rounds nothing; without it the convolution that reads them runs in float.
    """
    constants, users, producers = constants_of(model), consumers(model), producers_of(model)
    outputs = {output.name for output in model.graph.output}
    nodes: list[NodeProto] = []
    count = 0
    for node in model.graph.node:
        nodes.append(node)
        name = node.output[0]
        if node.op_type not in MOVERS or name in outputs:
            continue
        sources = [producers.get(source) for source in (node.input if node.op_type == "Concat" else node.input[:1])]
        if any(reader.op_type == "QuantizeLinear" for reader in users[name]) or not _one_grid(sources, constants):
            continue
        assert sources[0] is not None
        grid = list(sources[0].input[1:3])
        for reader in users[name]:
            reader.input[:] = [f"{name}_dequantized" if source == name else source for source in reader.input]
        quantize = helper.make_node("QuantizeLinear", [name, *grid], [f"{name}_quantized"], f"{name}_quantize")
        dequantize = helper.make_node(
            "DequantizeLinear", [f"{name}_quantized", *grid], [f"{name}_dequantized"], f"{name}_dequantize"
        )
        producers[dequantize.output[0]] = dequantize
        nodes += [quantize, dequantize]
        count += 1
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return count


def _one_grid(sources: list[NodeProto | None], constants: Mapping[str, TensorProto]) -> bool:
    grids = []
    for source in sources:
        if source is None or source.op_type != "DequantizeLinear" or len(source.input) < 3:
            return False
        grids.append([values_of(constants, name).item() for name in source.input[1:3]])
    return all(grid == grids[0] for grid in grids)


def quantise_equal_weights(model: ModelProto) -> int:
    """Store float weights of convolutions that are all one number as that number of ones; return how many.

    Exact. Averages that were written as convolutions have such weights, and run in int8 only with int8 weights.
    """
    constants = constants_of(model)
    nodes: list[NodeProto] = []
    count = 0
    for node in model.graph.node:
        if node.op_type == "Conv" and node.input[1] in constants:
            name, values = node.input[1], values_of(constants, node.input[1])
            if values.dtype == np.float32 and (values == values.flat[0]).all() and values.flat[0] > 0:
                ones = add_constant(model, f"{name}_levels", np.ones(values.shape, np.int8))
                scale = add_constant(model, f"{name}_scale", values.flat[0])
                node.input[1] = f"{name}_dequantized"
                nodes.append(helper.make_node("DequantizeLinear", [ones, scale], [node.input[1]], f"{name}_dequantize"))
                count += 1
        nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    drop_unused_constants(model)
    return count


def round_before_sums(model: ModelProto) -> int:
    """Put a `Round` of its own before quantisers between a convolution and a sum; return how many.

    OpenVINO computes convolution, quantiser, sum and the quantiser after it in one kernel, and leaves out the first
    rounding (`Convolution::setPostOps` calls that "unsafe"): one value in four then differs by a step.
    """
    constants, producers, users = constants_of(model), producers_of(model), consumers(model)
    nodes: list[NodeProto] = []
    count = 0
    for node in model.graph.node:
        source = producers.get(node.input[0]) if node.op_type == "QuantizeLinear" else None
        readers = [reader for dequantize in users[node.output[0]] for reader in users[dequantize.output[0]]]
        if source is not None and source.op_type == "Conv" and [reader.op_type for reader in readers] == ["Add"]:
            name, scale = node.input[0], values_of(constants, node.input[1])
            steps = add_constant(model, f"{name}_steps", np.asarray(1 / scale, np.float32))
            nodes += [
                helper.make_node("Mul", [name, steps], [f"{name}_in_steps"], f"{name}_to_steps"),
                helper.make_node("Round", [f"{name}_in_steps"], [f"{name}_whole"], f"{name}_round"),
                helper.make_node("Mul", [f"{name}_whole", node.input[1]], [f"{name}_rounded"], f"{name}_from_steps"),
            ]
            node.input[0] = f"{name}_rounded"
            count += 1
        nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return count


def quantise_biases(model: ModelProto) -> int:
    """Store biases of int8 convolutions as int32, in steps of input scale × weight scale; return how many.

    ONNX Runtime's int8 convolution takes them so, and one whose bias is float it runs in float.
    """
    constants, producers = constants_of(model), producers_of(model)
    nodes: list[NodeProto] = []
    count = 0
    for node in model.graph.node:
        if node.op_type == "Conv" and len(node.input) == 3 and node.input[2] in constants:
            data, weight = (producers.get(name) for name in node.input[:2])
            if data is not None and weight is not None and data.op_type == weight.op_type == "DequantizeLinear":
                name = node.input[2]
                step = values_of(constants, data.input[1]) * values_of(constants, weight.input[1])
                levels = np.rint(values_of(constants, name).astype(np.float64) / step)
                limits = np.iinfo(np.int32)
                inputs = [
                    add_constant(model, f"{name}_levels", levels.clip(limits.min, limits.max).astype(np.int32)),
                    add_constant(model, f"{name}_scale", step),
                ]
                node.input[2] = f"{name}_dequantized"
                nodes.append(
                    helper.make_node("DequantizeLinear", inputs, [node.input[2]], f"{name}_dequantize", axis=0)
                )
                count += 1
        nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    drop_unused_constants(model)
    return count
