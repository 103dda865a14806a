"""The layers of an ONNX graph as int8 sees them: an operator that computes, with what follows it at no cost of its own.

A convolution and its activation are one layer: an engine runs them as one operator, and putting half of it back to
float would only add conversions. Layers have one name in every file that is made of the same source.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from onnx import ModelProto, NodeProto

from edgeseg_export.graph import constants_of

WEIGHT_SUFFIX = ".weight"

ACTIVATIONS = ("Relu", "Clip", "LeakyRelu", "HardSwish", "HardSigmoid", "Sigmoid", "Mul")  # x · sigmoid(x) is one
MOVES = ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Gather", "GatherND", "Identity")
FOLLOWERS = frozenset((*ACTIVATIONS, *MOVES))
"""Operators that belong to the layer before them where all they read comes from it."""

KINDS = {
    "ConvTranspose": "transposed conv",
    "Gemm": "dense",
    "MatMul": "dense",
    "Add": "add",
    "Mul": "multiply",
    "Resize": "resize",
    "Concat": "concat",
    "AveragePool": "pooling",
    "MaxPool": "pooling",
    "GlobalAveragePool": "pooling",
    "ReduceMean": "pooling",
    "HardSwish": "activation",
    "HardSigmoid": "activation",
    "Sigmoid": "activation",
    "Relu": "activation",
    "Clip": "activation",
}


@dataclass(frozen=True)
class Layer:
    """Nodes that run together."""

    name: str
    """The module's name where it has weights (`net.backbone.3.block.1.0`), else its first node's."""
    kind: str
    """`dense conv`, `depthwise conv`, `pointwise conv`, `grouped conv`, or a value of KINDS, or `other`."""
    nodes: tuple[str, ...]
    """Names of its nodes, in the order of the graph."""
    outputs: tuple[str, ...]
    """Names of the tensors its nodes write, which are the same in every engine's file."""


def find_layers(model: ModelProto) -> list[Layer]:
    """Divide the graph into layers, in its own order. Its nodes need distinct names: see `name_nodes`."""
    constants = constants_of(model)
    home: dict[str, int] = {}
    groups: list[list[NodeProto]] = []
    for node in model.graph.node:
        read = {home.get(name) for name in node.input if name and name not in constants}
        owner = read.pop() if len(read) == 1 else None
        if owner is None or node.op_type not in FOLLOWERS:
            owner = len(groups)
            groups.append([])
        groups[owner].append(node)
        home.update(dict.fromkeys(node.output, owner))
    shapes = {name: tuple(item.dims) for name, item in constants.items()}
    return [_layer(group, shapes) for group in groups]


def _layer(group: Sequence[NodeProto], shapes: dict[str, tuple[int, ...]]) -> Layer:
    first = group[0]
    weights = [name for name in first.input[1:2] if name in shapes and name.endswith(WEIGHT_SUFFIX)]
    name = weights[0].removesuffix(WEIGHT_SUFFIX) if weights else first.name
    outputs = tuple(output for node in group for output in node.output)
    return Layer(name, kind_of(first, shapes), tuple(node.name for node in group), outputs)


def kind_of(node: NodeProto, shapes: dict[str, tuple[int, ...]]) -> str:
    """Name the kind of operator; `shapes` are those of the constants."""
    if node.op_type != "Conv":
        return KINDS.get(node.op_type, "other")
    groups = next((item.i for item in node.attribute if item.name == "group"), 1)
    shape = shapes.get(node.input[1])
    if groups > 1:
        return "depthwise conv" if shape is not None and shape[1] == 1 else "grouped conv"
    return "pointwise conv" if shape is not None and set(shape[2:]) == {1} else "dense conv"


def name_nodes(model: ModelProto) -> None:
    """Give every node that has no name, or another's, one made of its kind and what it writes."""
    seen: set[str] = set()
    for node in model.graph.node:
        if not node.name or node.name in seen:
            node.name = f"{node.op_type}:{node.output[0]}"
        seen.add(node.name)


def nodes_of(layers: Iterable[Layer], names: Iterable[str]) -> list[str]:
    """Return the nodes of the layers called `names`. Raises KeyError for a name that no layer has."""
    table = {layer.name: layer for layer in layers}
    return [node for name in names for node in table[name].nodes]
