"""What quantisation has to know of each operation that a network may be made of."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import fx, nn

from edgeseg.models.blocks import pool_to
from edgeseg_runtime.errors import ConfigError


class Kind(Enum):
    """How an operation treats numbers on an int8 grid."""

    INPUT = "the network's input"
    CONVOLUTION = "weights of its own"
    RECTIFIER = "a clip that engines fuse with what is before it"
    ACTIVATION = "a curve that OpenVINO fuses with a convolution before it and ONNX Runtime does not"
    MIX = "new values: sums and products"
    AVERAGE = "new values between those there were: averages and interpolations"
    JOIN = "values of several tensors side by side, which share one grid"
    KEEP = "values as they were, in another place or fewer of them"
    NUMBER = "no tensor: a size"
    OUTPUT = "the scores"


MODULES: Mapping[type[nn.Module], Kind] = {
    nn.Conv2d: Kind.CONVOLUTION,
    nn.ReLU: Kind.RECTIFIER,
    nn.ReLU6: Kind.RECTIFIER,
    nn.Hardswish: Kind.ACTIVATION,
    nn.Hardsigmoid: Kind.ACTIVATION,
    nn.Sigmoid: Kind.ACTIVATION,
    nn.SiLU: Kind.ACTIVATION,
    nn.AdaptiveAvgPool2d: Kind.AVERAGE,
    nn.AvgPool2d: Kind.AVERAGE,
    nn.Upsample: Kind.AVERAGE,
    nn.MaxPool2d: Kind.KEEP,
    nn.Dropout: Kind.KEEP,
    nn.Dropout2d: Kind.KEEP,
    nn.Identity: Kind.KEEP,
}

FUNCTIONS: Mapping[Callable[..., Any], Kind] = {
    F.relu: Kind.RECTIFIER,
    torch.relu: Kind.RECTIFIER,
    F.relu6: Kind.RECTIFIER,
    F.hardswish: Kind.ACTIVATION,
    F.hardsigmoid: Kind.ACTIVATION,
    F.sigmoid: Kind.ACTIVATION,
    torch.sigmoid: Kind.ACTIVATION,
    F.silu: Kind.ACTIVATION,
    F.adaptive_avg_pool2d: Kind.AVERAGE,
    F.avg_pool2d: Kind.AVERAGE,
    F.interpolate: Kind.AVERAGE,
    pool_to: Kind.AVERAGE,
    operator.add: Kind.MIX,
    torch.add: Kind.MIX,
    operator.mul: Kind.MIX,
    torch.mul: Kind.MIX,
    torch.mean: Kind.AVERAGE,
    torch.cat: Kind.JOIN,
    F.max_pool2d: Kind.KEEP,
    torch.flatten: Kind.KEEP,
    torch.transpose: Kind.KEEP,
    F.channel_shuffle: Kind.KEEP,
    torch.amax: Kind.KEEP,
}

METHODS: Mapping[str, Kind] = {
    "relu": Kind.RECTIFIER,
    "sigmoid": Kind.ACTIVATION,
    "mean": Kind.AVERAGE,
    "add": Kind.MIX,
    "mul": Kind.MIX,
    "contiguous": Kind.KEEP,
    "flatten": Kind.KEEP,
    "reshape": Kind.KEEP,
    "view": Kind.KEEP,
    "transpose": Kind.KEEP,
    "chunk": Kind.KEEP,
    "size": Kind.NUMBER,
}


def classify(graph_module: fx.GraphModule) -> dict[fx.Node, Kind]:
    """Return the kind of every node. Raises ConfigError naming the first that is not in the tables."""
    modules = dict(graph_module.named_modules())
    kinds: dict[fx.Node, Kind] = {}
    for node in graph_module.graph.nodes:
        kind = _kind(node, modules, kinds)
        if kind is None:
            raise ConfigError(
                f"{describe(node, modules)} cannot be trained for int8; export it by calibration alone, or leave it out"
            )
        kinds[node] = kind
    return kinds


def _kind(node: fx.Node, modules: Mapping[str, nn.Module], kinds: Mapping[fx.Node, Kind]) -> Kind | None:
    if node.op in ("placeholder", "output"):
        return Kind.INPUT if node.op == "placeholder" else Kind.OUTPUT
    if node.op == "call_module":
        layer = modules[str(node.target)]
        return None if getattr(layer, "return_indices", False) else MODULES.get(type(layer))  # places are no values
    if node.op == "call_function" and node.target is getattr:
        return Kind.NUMBER if node.args[1] == "shape" else None
    inputs = node.all_input_nodes
    if inputs and all(kinds[source] is Kind.NUMBER for source in inputs):
        return Kind.NUMBER  # arithmetic on sizes
    if node.target is operator.getitem and inputs and inputs[0].target == "chunk":
        return Kind.KEEP
    if node.op == "call_function":
        return FUNCTIONS.get(cast(Callable[..., Any], node.target))
    return METHODS.get(str(node.target)) if node.op == "call_method" else None


def path(node: fx.Node) -> str:
    """Return where in the network a node belongs: a layer's name, or a function's in the name of its module."""
    if node.op == "call_module":
        return str(node.target)
    stack = list(node.meta.get("nn_module_stack", {}))
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))
    return ".".join([*stack[-1:], name]).lstrip(".")


def describe(node: fx.Node, modules: Mapping[str, nn.Module]) -> str:
    """Name a node for an error message."""
    if node.op == "call_module":
        return f"layer {str(node.target)!r} ({type(modules[str(node.target)]).__name__})"
    return f"operation {path(node)!r}"
