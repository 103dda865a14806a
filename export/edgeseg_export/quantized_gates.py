"""Hard sigmoids, and what is made of them, in operators that ONNX Runtime has in int8."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, NodeProto, helper

from edgeseg_export.graph import add_constant, constants_of, consumers, producers_of, values_of
from edgeseg_export.quantized_graph import LAST_LEVEL

RANGE = (0.0, 1.0)
"""Values of a hard sigmoid."""


def hard_sigmoids(model: ModelProto) -> list[NodeProto]:
    """Return the nodes that compute max(0, min(1, αx + β))."""
    return [node for node in model.graph.node if node.op_type == "HardSigmoid"]


def flat_below(model: ModelProto) -> dict[str, float]:
    """Return tensors of which only a hard-swish is made, and −β/α: all that is smaller becomes zero.

    Steps of int8 below that would be wasted.
    """
    users = consumers(model)
    outputs = {output.name for output in model.graph.output}
    found = {}
    for node in hard_sigmoids(model):
        source, gate = node.input[0], node.output[0]
        others = [reader for reader in users[source] if reader is not node]
        products = all(reader.op_type == "Mul" and set(reader.input) == {source, gate} for reader in others)
        if products and source not in outputs:
            slope, middle = _slope_and_middle(node)
            found[source] = -middle / slope
    return found


def saturate_hard_sigmoids(model: ModelProto) -> int:
    """In a QDQ graph, write hard sigmoids as sums that their quantisers saturate; return how many.

    A grid from 0 to 1 cuts αx + β off where the hard sigmoid does, αx are the levels of x with another step, and β is
    a constant. So it is a sum of two quantised tensors, which ONNX Runtime computes in int8; a hard sigmoid it
    computes in float, with conversions before and after. New is only that α · step is rounded to float32.
    """
    constants, users, producers = constants_of(model), consumers(model), producers_of(model)
    nodes: list[NodeProto] = []
    count = 0
    for node in model.graph.node:
        source = producers.get(node.input[0]) if node.op_type == "HardSigmoid" else None
        readers = users[node.output[0]]
        if source is None or source.op_type != "DequantizeLinear" or not readers:
            nodes.append(node)
            continue
        grids = [[values_of(constants, name) for name in reader.input[1:3]] for reader in readers if _rounds(reader)]
        if len(grids) < len(readers) or not all(_is_unit(*grid) for grid in grids):
            nodes.append(node)
            continue
        name = node.output[0]
        slope, middle = _slope_and_middle(node)
        levels, step, zero_point = source.input
        steeper = add_constant(model, f"{name}_step", np.float32(slope) * values_of(constants, step))
        constant = [
            add_constant(model, f"{name}_one", np.array(1, np.uint8)),
            add_constant(model, f"{name}_middle", np.array(middle, np.float32)),
        ]
        nodes += [
            helper.make_node("DequantizeLinear", [levels, steeper, zero_point], [f"{name}_product"], f"{name}_scale"),
            helper.make_node("DequantizeLinear", constant, [f"{name}_constant"], f"{name}_offset"),
            helper.make_node("Add", [f"{name}_product", f"{name}_constant"], [name], node.name),
        ]
        count += 1
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return count


def _slope_and_middle(node: NodeProto) -> tuple[float, float]:
    given = {attribute.name: attribute.f for attribute in node.attribute}
    return given.get("alpha", 0.2), given.get("beta", 0.5)


def _rounds(node: NodeProto) -> bool:
    return node.op_type == "QuantizeLinear" and len(node.input) == 3


def _is_unit(scale: np.ndarray, zero_point: np.ndarray) -> bool:
    low, high = RANGE
    same = np.allclose(scale * LAST_LEVEL, high - low, rtol=1e-6, atol=0)
    return bool(zero_point.dtype == np.uint8 and np.all(zero_point == low) and same)
