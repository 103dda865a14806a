"""A network in which one layer alone is rounded as its int8 file rounds it.

The float graph gets the int8 file's own scales and zero points, for the tensors of one layer at a time, so nothing is
calibrated again and one layer's error is seen without the others'.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from edgeseg_export.graph import constants_of, drop_unused_constants
from edgeseg_export.grouped_pixels import OF_GROUPS, narrow
from edgeseg_export.layers import Layer
from edgeseg_runtime.errors import ModelFileError

Array = npt.NDArray[np.generic]
SUFFIX = "_quantized"


@dataclass(frozen=True)
class Weights:
    """int8 weights as a QDQ file holds them: (values - zero point) × scale."""

    values: Array
    scale: Array
    zero_point: Array
    axis: int
    """Of the channels that have a scale each."""


@dataclass(frozen=True)
class Rounding:
    """What a QDQ file rounds, and how."""

    activations: Mapping[str, tuple[Array, Array]]
    """Scale and zero point of each quantised activation, by the name the tensor has in the float file."""
    weights: Mapping[str, Weights]
    """Weights by the name they have in the float file."""


def read_rounding(int8: ModelProto, model: ModelProto) -> Rounding:
    """Collect the scales, zero points and rounded weights of a QDQ graph, as they fit into the float graph `model`.

    Raises ModelFileError when a rounded weight is not in the float graph: the files are not of one source.
    """
    constants = constants_of(int8)
    activations: dict[str, tuple[Array, Array]] = {}
    weights: dict[str, Weights] = {}
    for node in int8.graph.node:
        if node.op_type == "QuantizeLinear":
            activations[node.input[0]] = _constant(constants, node.input[1]), _constant(constants, node.input[2])
        elif node.op_type == "DequantizeLinear" and node.input[0] in constants:
            values = _constant(constants, node.input[0])
            if values.dtype == np.int8:
                axis = next((item.i for item in node.attribute if item.name == "axis"), 1)
                scale, zero_point = _constant(constants, node.input[1]), _constant(constants, node.input[2])
                name = node.input[0].removesuffix(OF_GROUPS).removesuffix(SUFFIX)
                weights[name] = Weights(values, scale, zero_point, axis)
    floats = constants_of(model)
    if foreign := weights.keys() - floats.keys():
        raise ModelFileError(f"the float file has no weights {sorted(foreign)[0]!r}; it is not what int8 was made of")
    for node in model.graph.node:
        if node.op_type == "Conv" and node.input[1] in weights:
            name = node.input[1]
            weights[name] = _of_single_pixels(weights[name], floats[name].dims, node)
    return Rounding(activations, weights)


def _of_single_pixels(held: Weights, shape: Sequence[int], convolution: NodeProto) -> Weights:
    """Return a first convolution's weights as they are in the float file."""
    if held.values.shape == tuple(shape):
        return held
    pads = next((item.ints for item in convolution.attribute if item.name == "pads"), (0, 0, 0, 0))
    values = narrow(held.values, shape, padding=pads[1])
    scale, zero_point = (item[: shape[0]] if item.ndim else item for item in (held.scale, held.zero_point))
    return Weights(values, scale, zero_point, held.axis)


def round_one(model: ModelProto, rounding: Rounding, layer: Layer) -> ModelProto | None:
    """Return the float graph with what `layer` reads, holds and writes rounded; None if int8 rounds none of it."""
    opened = ModelProto()
    opened.CopyFrom(model)
    graph = opened.graph
    mine = [node for node in graph.node if node.name in layer.nodes]
    read = {name for node in mine for name in node.input}
    written = {name for node in mine for name in node.output}
    weights = sorted(read & rounding.weights.keys())
    activations = sorted((read | written) & rounding.activations.keys())
    if not weights and not activations:
        return None
    for name in weights:
        _rewire(mine, name, _add_weights(opened, name, rounding.weights[name]))
    for name in activations:
        # what the layer reads is rounded for this layer alone, what it writes for everyone
        readers = list(graph.node) if name in written else mine  # listed before the pair itself is among them
        _rewire(readers, name, _add_pair(opened, name, *rounding.activations[name]))
    drop_unused_constants(opened)
    _sort(opened)
    return opened


def _add_pair(model: ModelProto, name: str, scale: Array, zero_point: Array) -> str:
    graph = model.graph
    names = [f"{name}:{part}" for part in ("scale", "zero", "int8", "rounded")]
    graph.initializer.append(numpy_helper.from_array(scale, names[0]))
    graph.initializer.append(numpy_helper.from_array(zero_point, names[1]))
    graph.node.append(helper.make_node("QuantizeLinear", [name, *names[:2]], [names[2]], name=names[2]))
    graph.node.append(helper.make_node("DequantizeLinear", [names[2], *names[:2]], [names[3]], name=names[3]))
    return names[3]


def _add_weights(model: ModelProto, name: str, weights: Weights) -> str:
    # As int8 with their scale, not rounded and back in float: ONNX Runtime rounds float weights between rounded
    # activations once more, by a range of its own.
    names = [f"{name}:{part}" for part in ("int8", "scale", "zero", "rounded")]
    for part, array in zip(names, (weights.values, weights.scale, weights.zero_point), strict=False):
        model.graph.initializer.append(numpy_helper.from_array(array, part))
    node = helper.make_node("DequantizeLinear", names[:3], [names[3]], name=names[3], axis=weights.axis)
    model.graph.node.append(node)
    return names[3]


def _rewire(nodes: Sequence[NodeProto], name: str, instead: str) -> None:
    for node in nodes:
        node.input[:] = [instead if item == name else item for item in node.input]


def _sort(model: ModelProto) -> None:
    """Put every node behind what it reads."""
    known = {item.name for item in (*model.graph.input, *model.graph.initializer)} | {""}
    waiting, ordered = list(model.graph.node), []
    while waiting:
        ready = [node for node in waiting if known.issuperset(node.input)]
        if not ready:
            raise ModelFileError(f"the graph has a circle or a loose end at {waiting[0].name!r}")
        ordered += ready
        known.update(name for node in ready for name in node.output)
        waiting = [node for node in waiting if not known.issuperset(node.output)]
    del model.graph.node[:]
    model.graph.node.extend(ordered)


def _constant(constants: Mapping[str, TensorProto], name: str) -> Array:
    if name not in constants:
        raise ModelFileError(f"{name!r} is no constant: scales that are computed at run time are not understood")
    return numpy_helper.to_array(constants[name])
