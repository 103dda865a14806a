"""The first convolution of a QDQ graph, over several pixels at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import lcm
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, NodeProto, helper

from edgeseg_export.graph import (
    add_constant,
    constants_of,
    consumers,
    drop_unused_constants,
    producers_of,
    values_of,
)

LEAST = 4
"""Pixels that are read as one, or more where a stride wants it: two gain nothing, and eight no more than four."""
OF_GROUPS = "_of_groups"
"""What the names of kernels over groups end with."""


@dataclass(frozen=True)
class Stem:
    """An int8 convolution of the frame."""

    convolution: NodeProto
    dequantizers: tuple[NodeProto, ...]
    """Those of its kernel and, if it has one, of its bias."""
    quantizer: NodeProto
    """That of its output."""
    kernel: npt.NDArray[np.int8]
    """Weights of shape (outputs, channels, height, width)."""
    settings: Mapping[str, Any]
    """Attributes of the convolution."""

    @property
    def stride(self) -> int:
        """Pixels of a row from one output to the next."""
        return int(self.settings["strides"][1])

    @property
    def padding(self) -> tuple[int, int]:
        """Zeros before and after a row."""
        _, before, _, after = self.settings["pads"]
        return before, after

    def covers(self, width: int) -> bool:
        """Return whether a row gives as many outputs as strides fit into it."""
        outputs = (width + sum(self.padding) - self.kernel.shape[3]) // self.stride + 1
        return width % self.stride == 0 and outputs == width // self.stride


def group_pixels(model: ModelProto) -> int:
    """Let int8 convolutions of the frame read pixels side by side as one of more channels; return how many.

    ONNX Runtime's int8 convolution gathers its input pixel by pixel, and three bytes take as long as twelve. A row of
    pixels lies in memory as a row of a quarter as many with four times the channels does. A convolution of these gives
    the outputs that begin in one group as further channels, and they lie in memory as outputs side by side do. The sums
    are of the same integers, and of zeros.
    """
    frame = model.graph.input[0]
    *_, width, channels = (axis.dim_value for axis in frame.type.tensor_type.shape.dim)
    transposes = [node for node in consumers(model)[frame.name] if node.op_type == "Transpose"]
    stems = _stems(model, transposes)
    pixels = lcm(*(stem.stride for stem in stems))
    pixels *= -(-LEAST // pixels)
    if not stems or not width or width % pixels or not all(stem.covers(width) for stem in stems):
        return 0
    before = {node.output[0]: [_group(model, node, width // pixels, pixels * channels)] for node in transposes}
    after = {}
    for stem in stems:
        _widen(model, stem, pixels)
        back = _ungroup(model, stem, width // stem.stride)
        after[back[0].input[0]] = back
    nodes = []
    for node in model.graph.node:
        name = node.output[0]
        nodes += [*before.get(name, []), node, *after.get(name, [])]
    del model.graph.node[:], model.graph.value_info[:]  # whose shapes were those before
    model.graph.node.extend(nodes)
    drop_unused_constants(model)
    return len(stems)


def widen(kernel: npt.NDArray[Any], stride: int, padding: int, pixels: int) -> tuple[npt.NDArray[Any], tuple[int, int]]:
    """Return the kernel over groups of `pixels`, and how many groups it reaches before and after its own.

    From (outputs, channels, height, width) to (n · outputs, pixels · channels, height, groups), where n outputs of the
    same place begin in one group: the first at `padding` pixels before it, the others `stride` pixels apart.
    """
    outputs, channels, height, width = kernel.shape
    starts = range(-padding, pixels - padding, stride)
    first, last = starts[0] // pixels, max(0, (starts[-1] + width - 1) // pixels)
    wide = np.zeros((len(starts), outputs, pixels, channels, height, last - first + 1), kernel.dtype)
    for copy, start in enumerate(starts):
        for column in range(width):
            group, pixel = divmod(start + column, pixels)
            wide[copy, :, pixel, :, :, group - first] = kernel[..., column]
    return wide.reshape(len(starts) * outputs, pixels * channels, height, -1), (-first, last)


def narrow(wide: npt.NDArray[Any], shape: Sequence[int], padding: int) -> npt.NDArray[Any]:
    """Return the kernel of this `shape` that `widen` made `wide`."""
    outputs, channels, height, width = shape
    pixels = wide.shape[1] // channels
    groups = wide[:outputs].reshape(outputs, pixels, channels, height, -1)
    rows = groups.transpose(0, 2, 3, 4, 1).reshape(outputs, channels, height, -1)
    start = -padding % pixels
    return rows[..., start : start + width]


def _stems(model: ModelProto, transposes: list[NodeProto]) -> list[Stem]:
    """Return all that reads the transposed frames, or nothing if part of it is something else."""
    users = consumers(model)
    dequantizers = [reader for node in transposes for reader in users[node.output[0]]]
    found = [_stem(model, reader) for node in dequantizers for reader in users[node.output[0]]]
    stems = [stem for stem in found if stem is not None]
    whole = len(stems) == len(found) and all(node.op_type == "DequantizeLinear" for node in dequantizers)
    return stems if whole else []


def _stem(model: ModelProto, node: NodeProto) -> Stem | None:
    constants, users, producers = constants_of(model), consumers(model), producers_of(model)
    settings = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    plain = (
        node.op_type == "Conv"
        and settings.get("group", 1) == 1
        and {*settings.get("dilations", [1])} == {1}
        and settings.get("auto_pad", b"NOTSET") == b"NOTSET"
    )
    parameters = [producers[name] for name in node.input[1:] if name in producers]
    dequantized = [
        parameter
        for parameter in parameters
        if parameter.op_type == "DequantizeLinear"
        and parameter.input[0] in constants
        and len(users[parameter.output[0]]) == 1
    ]
    quantizer = _quantizer_behind(model, node)
    if not plain or len(dequantized) < len(node.input) - 1 or quantizer is None:
        return None
    kernel = values_of(constants, dequantized[0].input[0])
    return Stem(node, tuple(dequantized), quantizer, kernel, {"strides": [1, 1], "pads": [0] * 4} | settings)


def _quantizer_behind(model: ModelProto, node: NodeProto) -> NodeProto | None:
    """Return what rounds a node's output to one grid, if nothing else reads it; a ReLU or a clip may come before."""
    constants, users = constants_of(model), consumers(model)
    outputs = {output.name for output in model.graph.output}
    while node.output[0] not in outputs and len(users[node.output[0]]) == 1:
        (node,) = users[node.output[0]]
        if node.op_type == "QuantizeLinear":
            return node if values_of(constants, node.input[1]).size == 1 else None
        if node.op_type not in ("Relu", "Clip"):
            break
    return None


def _group(model: ModelProto, transpose: NodeProto, width: int, channels: int) -> NodeProto:
    """Let a transpose of the frame read it in groups; return the node that makes them."""
    name = f"{transpose.output[0]}_grouped"
    shape = add_constant(model, f"{name}_shape", np.array([0, 0, width, channels]))
    node = helper.make_node("Reshape", [transpose.input[0], shape], [name], name)
    transpose.input[0] = name
    return node


def _widen(model: ModelProto, stem: Stem, pixels: int) -> None:
    """Give a convolution its kernel over groups."""
    kernel, (before, after) = widen(stem.kernel, stem.stride, stem.padding[0], pixels)
    constants = constants_of(model)
    copies = pixels // stem.stride
    for node in stem.dequantizers:
        for place, name in enumerate(node.input):
            values = values_of(constants, name)
            repeated = kernel if values.ndim == 4 else np.tile(values, copies) if values.ndim else values
            ending = OF_GROUPS if values.ndim == 4 else f"_of_{node.output[0]}"  # of both, scales may be the same
            node.input[place] = add_constant(model, f"{name}{ending}", repeated)
    upper, _, lower, _ = stem.settings["pads"]
    settings = {
        "kernel_shape": kernel.shape[2:],
        "strides": [stem.settings["strides"][0], 1],
        "pads": [upper, before, lower, after],
    }
    del stem.convolution.attribute[:]
    stem.convolution.attribute.extend(helper.make_attribute(name, value) for name, value in settings.items())


def _ungroup(model: ModelProto, stem: Stem, width: int) -> list[NodeProto]:
    """Let the quantiser behind a convolution write groups; return the nodes that make outputs of them."""
    name = stem.quantizer.output[0]
    stem.quantizer.output[0] = grouped = f"{name}_grouped"
    shape = add_constant(model, f"{name}_shape", np.array([0, 0, width, len(stem.kernel)]))
    last = [f"{grouped}_last", f"{name}_last"]
    return [
        helper.make_node("Transpose", [grouped], last[:1], last[0], perm=[0, 2, 3, 1]),
        helper.make_node("Reshape", [last[0], shape], last[1:], last[1]),
        helper.make_node("Transpose", last[1:], [name], f"{name}_first", perm=[0, 3, 1, 2]),
    ]
