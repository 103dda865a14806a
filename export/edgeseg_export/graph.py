"""Rewrites of exported ONNX graphs. Each changes the arithmetic's cost, not its result."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, numpy_helper


def fold_input_scale(model: ModelProto) -> bool:
    """Fold a constant per-channel `Mul` in front of convolutions into their weights; True if one was found.

    conv(x · s) = conv'(x) with w' = w · s for any zero padding, since 0 · s = 0. It takes the normalisation's division
    out of every frame.
    """
    graph = model.graph
    constants = {item.name: item for item in graph.initializer}
    users = consumers(model)
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
        scale = numpy_helper.to_array(constants[factors[0]])
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


def feed_frames_directly(model: ModelProto) -> bool:
    """In a QDQ graph, let the uint8 frame itself be the first quantised tensor; True if the graph allows it.

    Calibration sees `Cast → Sub(m) → QuantizeLinear → DequantizeLinear`. Where m is one whole number for all channels,
    `DequantizeLinear(frame, scale=1, zero_point=m)` is the same value before it was rounded to the calibrated range:
    exact, and three passes over the frame cheaper.
    """
    graph = model.graph
    constants = {item.name: item for item in graph.initializer}
    producers = {output: node for node in graph.node for output in node.output}
    users = consumers(model)
    for subtract in (node for node in graph.node if node.op_type == "Sub"):
        cast = producers.get(subtract.input[0])
        zero_point = _whole_value(constants, subtract.input[1])
        quantizers = users[subtract.output[0]]
        if cast is None or cast.op_type != "Cast" or zero_point is None:
            continue
        if not quantizers or any(node.op_type != "QuantizeLinear" for node in quantizers):
            continue
        readers = [reader for node in quantizers for reader in users[node.output[0]]]
        if any(reader.op_type != "DequantizeLinear" for reader in readers):
            continue
        graph.initializer.append(numpy_helper.from_array(np.array(1, np.float32), "frame_scale"))
        graph.initializer.append(numpy_helper.from_array(np.array(zero_point, np.uint8), "frame_zero_point"))
        for reader in readers:
            del reader.input[:]
            reader.input.extend([cast.input[0], "frame_scale", "frame_zero_point"])
            for node in users[reader.output[0]]:
                _requantise_bias(node, constants, producers)
        for node in (*quantizers, subtract):
            graph.node.remove(node)
        if users[cast.output[0]] == [subtract]:
            graph.node.remove(cast)
        drop_unused_constants(model)
        return True
    return False


def _requantise_bias(node: NodeProto, constants: dict[str, onnx.TensorProto], producers: dict[str, NodeProto]) -> None:
    """Give a convolution whose input has got the scale 1 a bias in the scale of its weights.

    ONNX Runtime runs it in float, without a word, where the bias's scale is not the input's times the weights'.
    """
    if node.op_type != "Conv" or len(node.input) < 3:
        return
    weight, bias = (producers.get(name) for name in node.input[1:3])
    if weight is None or bias is None or {weight.op_type, bias.op_type} != {"DequantizeLinear"}:
        return
    values, before, scale = (numpy_helper.to_array(constants[name]) for name in (*bias.input[:2], weight.input[1]))
    rounded = np.rint(values.astype(np.float64) * before / scale).astype(np.int32)
    for name, array in ((bias.input[0], rounded), (bias.input[1], scale)):
        constants[name].CopyFrom(numpy_helper.from_array(array, name))


def consumers(model: ModelProto) -> dict[str, list[NodeProto]]:
    """Return the nodes that read each tensor, by tensor name."""
    found: dict[str, list[NodeProto]] = defaultdict(list)
    for node in model.graph.node:
        for name in node.input:
            found[name].append(node)
    return found


def drop_unused_constants(model: ModelProto) -> None:
    """Remove initializers that no node reads."""
    read = {name for node in model.graph.node for name in node.input}
    unused = [item for item in model.graph.initializer if item.name not in read]
    for item in unused:
        model.graph.initializer.remove(item)


def set_metadata(model: ModelProto, values: dict[str, str]) -> None:
    """Put string values into the model's `metadata_props`, replacing what has the same key."""
    kept = {item.key: item.value for item in model.metadata_props} | values
    onnx.helper.set_model_props(model, kept)


def _whole_value(constants: dict[str, onnx.TensorProto], name: str) -> int | None:
    if name not in constants:
        return None
    values = numpy_helper.to_array(constants[name]).ravel()
    whole = round(float(values[0]))
    return whole if np.allclose(values, whole, atol=1e-4) and 0 <= whole <= 255 else None
