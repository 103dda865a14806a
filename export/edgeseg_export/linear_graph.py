"""Rewrites of float ONNX graphs by linearity: pointwise convolutions where they take the fewest products."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, NodeProto, helper, numpy_helper, shape_inference

from edgeseg_export.graph import (
    add_constant,
    constants_of,
    consumers,
    drop_unused_constants,
    producers_of,
    shapes_of,
    values_of,
)
from edgeseg_export.layers import WEIGHT_SUFFIX

_INTERPOLATIONS = (b"linear", b"nearest")
_COORDINATES = (b"half_pixel", b"pytorch_half_pixel", b"align_corners", b"asymmetric")
"""Those that read no pixel from outside the picture, so that weights add up to 1 everywhere."""


def convolve_before_enlarging(model: ModelProto) -> ModelProto:
    """Return `model` with pointwise convolutions over joined maps in front of what enlarged some of the maps.

    A convolution over joined maps is the sum of one over each. Interpolation is linear, too, its weights add up to 1,
    and it treats all channels alike: conv(join(a, enlarge(b))) = conv_a(a) + enlarge(conv_b(b)), bias included. Only
    where sizes are known and more than half of the products go: the sums take time, too.
    """
    while _move_one(model):
        pass
    return shape_inference.infer_shapes(model)


def merge_convolutions(model: ModelProto) -> int:
    """Make one of a convolution and the pointwise one that alone reads it, where that takes no more products.

    Return how many pairs there were.
    """
    count = 0
    while _merge_one(model):
        count += 1
    return count


@dataclass(frozen=True)
class _Part:
    """A map that is joined with others."""

    source: str
    """Before it was enlarged."""
    channels: int
    pixels: int
    """Before it was enlarged; 0 where that is not known."""
    resize: NodeProto | None
    """What enlarges it."""


def _move_one(model: ModelProto) -> bool:
    constants, users, producers, shapes = constants_of(model), consumers(model), producers_of(model), shapes_of(model)
    kept = {output.name for output in model.graph.output}
    for place, conv in enumerate(model.graph.node):
        join = producers.get(conv.input[0]) if conv.op_type == "Conv" else None
        if join is None or not _is_pointwise(conv) or not {*conv.input[1:]} <= constants.keys():
            continue
        if join.op_type != "Concat" or _attributes(join)["axis"] != 1 or _read_twice(join, users, kept):
            continue
        parts = [_part(name, producers, users, kept, shapes) for name in join.input]
        weight = values_of(constants, conv.input[1])
        if sum(part.channels for part in parts) != weight.shape[1] or not _pays(parts, shapes.get(conv.input[0], [])):
            continue
        bias = values_of(constants, conv.input[2]) if len(conv.input) > 2 else None
        nodes = _sum_of_convolutions(model, conv, parts, weight, bias, shapes)
        for node in (conv, join, *(part.resize for part in parts if part.resize is not None)):
            model.graph.node.remove(node)
        following = place - 1 - sum(part.resize is not None for part in parts)
        for offset, node in enumerate(nodes):
            model.graph.node.insert(following + offset, node)
        drop_unused_constants(model)
        return True
    return False


def _part(
    name: str,
    producers: dict[str, NodeProto],
    users: dict[str, list[NodeProto]],
    kept: set[str],
    shapes: dict[str, list[int]],
) -> _Part:
    after = shapes.get(name, [0] * 4)
    plain = _Part(name, after[1], prod(after[2:]), None)
    resize = producers.get(name)
    if resize is None or resize.op_type != "Resize" or _read_twice(resize, users, kept):
        return plain
    given, before = _attributes(resize), shapes.get(resize.input[0], [])
    interpolates = given.get("mode", b"nearest") in _INTERPOLATIONS
    inside = given.get("coordinate_transformation_mode", b"half_pixel") in _COORDINATES
    if not interpolates or not inside or "axes" in given or len(before) != 4 or before[:2] != after[:2]:
        return plain
    return _Part(resize.input[0], after[1], prod(before[2:]), resize) if 0 < prod(before) < prod(after) else plain


def _pays(parts: Sequence[_Part], joined: Sequence[int]) -> bool:
    """Whether fewer than half of the products are left when parts are convolved as they are, not `joined`, a shape."""
    left = sum(part.channels * part.pixels for part in parts)
    return all(part.pixels for part in parts) and 2 * left < prod(joined[1:])


def _sum_of_convolutions(
    model: ModelProto,
    conv: NodeProto,
    parts: Sequence[_Part],
    weight: npt.NDArray[Any],
    bias: npt.NDArray[Any] | None,
    shapes: dict[str, list[int]],
) -> list[NodeProto]:
    """Return nodes that write what `conv` did; the maps that nothing enlarged are still convolved together.

    Those are added last: OpenVINO adds a sum within the convolution that makes the last summand and rounds once, while
    a convolution that is the first gives out the largest map there is in float.
    """
    ends = np.cumsum([part.channels for part in parts])
    columns = [np.arange(end - part.channels, end) for part, end in zip(parts, ends, strict=True)]
    plain = [index for index, part in enumerate(parts) if part.resize is None]
    groups = [*([index] for index in range(len(parts)) if index not in plain), *([plain] if plain else [])]
    stem = conv.input[1].removesuffix(WEIGHT_SUFFIX)
    nodes, summands = [], []
    for number, group in enumerate(groups):
        name = f"{stem}.{number}"
        source = parts[group[0]].source
        if len(group) > 1:
            source = f"{name}.joined"
            nodes.append(helper.make_node("Concat", [parts[index].source for index in group], [source], source, axis=1))
        matrix = weight[:, np.concatenate([columns[index] for index in group])]
        inputs = [source, add_constant(model, f"{name}{WEIGHT_SUFFIX}", matrix)]
        if bias is not None and number == 0:
            inputs.append(add_constant(model, f"{name}.bias", bias))
        nodes.append(helper.make_node("Conv", inputs, [f"{name}.convolved"], name, kernel_shape=[1, 1]))
        summands.append(f"{name}.convolved")
        if (resize := parts[group[0]].resize) is not None:
            nodes.append(_resized(model, resize, summands[-1], shapes[resize.output[0]], len(weight)))
            summands[-1] = nodes[-1].output[0]
    total = summands[0]
    for number, summand in enumerate(summands[1:], 1):
        nodes.append(helper.make_node("Add", [total, summand], [f"{stem}.sum{number}"], f"{stem}.add{number}"))
        total = f"{stem}.sum{number}"
    nodes[-1].output[0] = conv.output[0]
    return nodes


def _resized(model: ModelProto, resize: NodeProto, source: str, shape: Sequence[int], channels: int) -> NodeProto:
    """Return the node that enlarges `source` as `resize` does its input."""
    node = NodeProto()
    node.CopyFrom(resize)
    node.name, node.input[0], node.output[0] = f"{source}.resize", source, f"{source}.enlarged"
    if len(node.input) > 3 and node.input[3]:
        sizes = np.array([shape[0], channels, *shape[2:]], np.int64)
        node.input[3] = add_constant(model, f"{node.name}.sizes", sizes)
    return node


def _merge_one(model: ModelProto) -> bool:
    constants, users, producers = constants_of(model), consumers(model), producers_of(model)
    kept = {output.name for output in model.graph.output}
    for conv in model.graph.node:
        first = producers.get(conv.input[0]) if conv.op_type == "Conv" else None
        if first is None or first.op_type != "Conv" or not _is_pointwise(conv) or _read_twice(first, users, kept):
            continue
        names = {*conv.input[1:], *first.input[1:]}
        if not names <= constants.keys() or _attributes(first).get("group", 1) != 1:
            continue
        if any(len(users[name]) > 1 for name in names):
            continue
        outer, inner = (values_of(constants, node.input[1]).astype(np.float64) for node in (conv, first))
        if len(outer) * inner[0].size > inner.size + outer.size:
            continue
        bias = np.zeros(len(outer))
        for node, matrix in ((first, outer[:, :, 0, 0]), (conv, np.eye(len(outer)))):
            if len(node.input) > 2:
                bias += matrix @ values_of(constants, node.input[2])
        weight = np.einsum("om,mihw->oihw", outer[:, :, 0, 0], inner)
        merged = constants[first.input[1]]
        merged.CopyFrom(numpy_helper.from_array(weight.astype(np.float32), merged.name))
        stem = merged.name.removesuffix(WEIGHT_SUFFIX)
        del first.input[2:]
        first.input.append(add_constant(model, f"{stem}.merged_bias", bias.astype(np.float32)))
        first.output[0] = conv.output[0]
        model.graph.node.remove(conv)
        drop_unused_constants(model)
        return True
    return False


def _is_pointwise(conv: NodeProto) -> bool:
    """Whether it maps every pixel for itself; its weights are then (out, in, 1, 1)."""
    given = _attributes(conv)
    plain = given.get("group", 1) == 1 and given.get("auto_pad", b"NOTSET") == b"NOTSET"
    windows = (*given.get("kernel_shape", (0,)), *given.get("strides", ()))
    return plain and set(windows) == {1} and not any(given.get("pads", ()))


def _read_twice(node: NodeProto, users: dict[str, list[NodeProto]], kept: set[str]) -> bool:
    return len(users[node.output[0]]) != 1 or node.output[0] in kept


def _attributes(node: NodeProto) -> dict[str, Any]:
    return {item.name: helper.get_attribute_value(item) for item in node.attribute}
