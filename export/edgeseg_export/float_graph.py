"""Rewrites of float ONNX graphs. Each changes the arithmetic's cost, not its result."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, helper, numpy_helper

from edgeseg_export.graph import add_constant, constants_of, consumers, drop_unused_constants, shapes_of, values_of


def fold_input_scale(model: ModelProto) -> bool:
    """Fold a constant per-channel `Mul` in front of convolutions into their weights; True if one was found.

    conv(x · s) = conv'(x) with w' = w · s for any zero padding, since 0 · s = 0. It takes the normalisation's division
    out of every frame.
    """
    graph = model.graph
    constants, users = constants_of(model), consumers(model)
    for node in graph.node:
        if node.op_type != "Mul":
            continue
        factors = [name for name in node.input if name in constants]
        readers = users[node.output[0]]
        if len(factors) != 1 or not readers or node.output[0] in {output.name for output in graph.output}:
            continue
        if not all(reader.op_type == "Conv" and reader.input[0] == node.output[0] for reader in readers):
            continue
        if any(len(users[reader.input[1]]) != 1 or reader.input[1] not in constants for reader in readers):
            continue
        scale = values_of(constants, factors[0])
        if scale.ndim != 4 or scale.shape[0] != 1 or scale.shape[2:] != (1, 1):
            continue
        if any(scale.shape[1] not in (1, constants[reader.input[1]].dims[1]) for reader in readers):
            continue  # a grouped convolution's weights do not hold every channel
        source = next(name for name in node.input if name not in constants)
        for reader in readers:
            weight = constants[reader.input[1]]
            scaled = numpy_helper.to_array(weight) * scale
            weight.CopyFrom(numpy_helper.from_array(scaled.astype(np.float32), weight.name))
            reader.input[0] = source
        graph.node.remove(node)
        drop_unused_constants(model)
        return True
    return False


def drop_copies(model: ModelProto) -> int:
    """Remove pairs of nodes that flatten a tensor and gather its values back in order; return how many.

    So the exporter writes that torch's `AdaptiveAvgPool2d(1)` gives its means another order in memory.
    """
    constants, users, shapes = constants_of(model), consumers(model), shapes_of(model)
    outputs = {output.name for output in model.graph.output}
    found = []
    for node in model.graph.node:
        readers = users[node.output[0]]
        if node.op_type != "Reshape" or len(readers) != 1 or readers[0].op_type != "Gather":
            continue
        gather = readers[0]
        if gather.input[0] != node.output[0] or gather.input[1] not in constants or gather.output[0] in outputs:
            continue
        places = values_of(constants, gather.input[1])
        in_order = np.array_equal(places.ravel(), np.arange(places.size))
        if in_order and shapes.get(node.input[0]) == list(places.shape):
            found.append((node, gather))
    for node, gather in found:
        for reader in users[gather.output[0]]:
            reader.input[:] = [node.input[0] if name == gather.output[0] else name for name in reader.input]
        model.graph.node.remove(node)
        model.graph.node.remove(gather)
    drop_unused_constants(model)
    return len(found)


def average_globally(model: ModelProto) -> int:
    """Write means over height and width as `GlobalAveragePool`, which ONNX Runtime has in int8; return how many."""
    constants = constants_of(model)
    count = 0
    for node in model.graph.node:
        if node.op_type != "ReduceMean" or len(node.input) < 2 or node.input[1] not in constants:
            continue
        keeps = next((attribute.i for attribute in node.attribute if attribute.name == "keepdims"), 1)
        if sorted(values_of(constants, node.input[1]).tolist()) not in ([-2, -1], [2, 3]) or not keeps:
            continue
        node.op_type = "GlobalAveragePool"
        del node.attribute[:], node.input[1:]
        count += 1
    drop_unused_constants(model)
    return count


def average_by_convolution(model: ModelProto) -> int:
    """Write averages of windows as depthwise convolutions with equal weights; return how many.

    ONNX Runtime's int8 average takes six times as long as its float one, its int8 depthwise convolution less than
    either. Only where zeros around the picture count, as they do for a convolution, and channels are known.
    """
    shapes = shapes_of(model)
    count = 0
    for node in model.graph.node:
        channels = shapes.get(node.input[0], [0, 0])[1] if node.op_type == "AveragePool" else 0
        given = {item.name: helper.get_attribute_value(item) for item in node.attribute}
        counts_zeros = given.get("count_include_pad", 0) or not any(given.get("pads", [0]))
        padded_as_written = given.get("auto_pad", b"NOTSET") == b"NOTSET" and not given.get("ceil_mode", 0)
        if not channels or not counts_zeros or not padded_as_written:
            continue
        kernel = given["kernel_shape"]
        weight = np.full((channels, 1, *kernel), 1 / np.prod(kernel), np.float32)
        node.input.append(add_constant(model, f"{node.name}.weight", weight))
        node.op_type = "Conv"
        kept = {name: given[name] for name in ("kernel_shape", "strides", "pads", "dilations") if name in given}
        del node.attribute[:]
        node.attribute.extend(helper.make_attribute(name, value) for name, value in {**kept, "group": channels}.items())
        count += 1
    return count
