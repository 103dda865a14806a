"""The frame as the first quantised tensor of a QDQ graph."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper

from edgeseg_export.graph import (
    add_constant,
    constants_of,
    consumers,
    drop_unused_constants,
    producers_of,
    values_of,
)


def feed_frames_directly(model: ModelProto) -> bool:
    """In a QDQ graph, let the uint8 frame itself be the first quantised tensor; True if the graph allows it.

    Calibration sees `Cast → Sub(m) → QuantizeLinear → DequantizeLinear`. Where m is one whole number for all channels,
    `DequantizeLinear(frame, scale=1, zero_point=m)` is the same value before it was rounded to the calibrated range:
    exact, and three passes over the frame cheaper.
    """
    graph = model.graph
    constants, users, producers = constants_of(model), consumers(model), producers_of(model)
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
        grid = [
            add_constant(model, "frame_scale", np.array(1, np.float32)),
            add_constant(model, "frame_zero_point", np.array(zero_point, np.uint8)),
        ]
        for reader in readers:
            reader.input[:] = [cast.input[0], *grid]
            for node in users[reader.output[0]]:
                _requantise_bias(node, constants, producers)
        for node in (*quantizers, subtract):
            graph.node.remove(node)
        if users[cast.output[0]] == [subtract]:
            graph.node.remove(cast)
        drop_unused_constants(model)
        return True
    return False


def _requantise_bias(node: NodeProto, constants: Mapping[str, TensorProto], producers: Mapping[str, NodeProto]) -> None:
    """Give a convolution whose input has got the scale 1 a bias in the scale of its weights.

    ONNX Runtime runs it in float, without a word, where the bias's scale is not the input's times the weights'.
    """
    if node.op_type != "Conv" or len(node.input) < 3:
        return
    weight, bias = (producers.get(name) for name in node.input[1:3])
    if weight is None or bias is None or {weight.op_type, bias.op_type} != {"DequantizeLinear"}:
        return
    values, before, scale = (values_of(constants, name) for name in (*bias.input[:2], weight.input[1]))
    rounded = np.rint(values.astype(np.float64) * before / scale).astype(np.int32)
    for name, array in ((bias.input[0], rounded), (bias.input[1], scale)):
        constants[name].CopyFrom(numpy_helper.from_array(array, name))


def _whole_value(constants: Mapping[str, TensorProto], name: str) -> int | None:
    if name not in constants:
        return None
    values = values_of(constants, name).ravel()
    whole = round(float(values[0]))
    return whole if np.allclose(values, whole, atol=1e-4) and 0 <= whole <= 255 else None


def take_frames_as_quantised(model: ModelProto, *, directly: bool) -> bool:
    """Give the first quantised tensor whole numbers for values; True if the graph allows it.

    The exporter writes `Cast → Sub(m) → Mul(s) → QuantizeLinear(s', z) → DequantizeLinear(s', z) → Conv`. The
    convolutions' weights take over the scale s', which becomes 1. Where m is one whole number for all channels, z is m
    and s' is s, rounding changes nothing: the frame itself is the quantised tensor. The multiplication goes then, and,
    `directly`, the rest up to `DequantizeLinear(frame)`. Not for OpenVINO: it leaves a convolution in float that reads
    a dequantised input of the model.
    """
    constants, users, producers = constants_of(model), consumers(model), producers_of(model)
    for quantize in (node for node in model.graph.node if node.op_type == "QuantizeLinear"):
        chain = _normalisation(quantize, producers)
        readers = [reader for dequantize in users[quantize.output[0]] for reader in users[dequantize.output[0]]]
        weights = [producers.get(reader.input[1]) for reader in readers if reader.op_type == "Conv"]
        quantised = [w for w in weights if w is not None and w.op_type == "DequantizeLinear"]
        if chain is None or not readers or len(quantised) < len(readers):
            continue
        pixels = _is_pixel_grid(quantize, chain, constants)
        scale = values_of(constants, quantize.input[1])
        unit = add_constant(model, "frame_scale", np.array(1, np.float32))
        for dequantize in users[quantize.output[0]]:
            dequantize.input[1] = unit
        for weight in {weight.output[0]: weight for weight in quantised}.values():
            product = _short(values_of(constants, weight.input[1]).astype(np.float64) * scale)
            weight.input[1] = add_constant(model, f"{weight.input[1]}_of_frames", product)
        if pixels:
            _drop_normalisation(model, quantize, chain, directly=directly)
        drop_unused_constants(model)
        return True
    return False


def _drop_normalisation(
    model: ModelProto, quantize: NodeProto, chain: tuple[NodeProto, NodeProto, NodeProto], *, directly: bool
) -> None:
    cast, subtract, multiply = chain
    dropped = [multiply]
    quantize.input[0], quantize.input[1] = subtract.output[0], "frame_scale"
    if directly:
        for dequantize in consumers(model)[quantize.output[0]]:
            dequantize.input[0] = cast.input[0]
        dropped += [cast, subtract, quantize]
    for node in dropped:
        model.graph.node.remove(node)


def _normalisation(
    quantize: NodeProto, producers: Mapping[str, NodeProto]
) -> tuple[NodeProto, NodeProto, NodeProto] | None:
    """Return the `Cast`, `Sub` and `Mul` before a quantiser of the frame, if that is what is there."""
    chain: list[NodeProto] = []
    node = quantize
    for kind in ("Mul", "Sub", "Cast"):
        before = producers.get(node.input[0])
        if before is None or before.op_type != kind:
            return None
        chain.append(before)
        node = before
    multiply, subtract, cast = chain
    return cast, subtract, multiply


def _is_pixel_grid(
    quantize: NodeProto, chain: tuple[NodeProto, NodeProto, NodeProto], constants: Mapping[str, TensorProto]
) -> bool:
    _, subtract, multiply = chain
    if any(name not in constants for name in (subtract.input[1], multiply.input[1])):
        return False
    mean, factor = values_of(constants, subtract.input[1]), values_of(constants, multiply.input[1])
    scale, zero_point = (values_of(constants, name) for name in quantize.input[1:3])
    return bool(np.allclose(mean, zero_point, rtol=0, atol=1e-4) and np.allclose(factor, scale, rtol=1e-5, atol=0))


def _short(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Round to 16 significant bits, which undoes the rounding errors of a product that has few."""
    fraction, exponent = np.frexp(values)
    return np.asarray(np.ldexp(np.rint(fraction * 2**16) / 2**16, exponent), np.float32)
