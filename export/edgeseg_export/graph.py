"""What an ONNX graph holds, by name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy.typing as npt
import onnx
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper


def consumers(model: ModelProto) -> dict[str, list[NodeProto]]:
    """Return the nodes that read each tensor, by tensor name."""
    found: dict[str, list[NodeProto]] = defaultdict(list)
    for node in model.graph.node:
        for name in node.input:
            found[name].append(node)
    return found


def producers_of(model: ModelProto) -> dict[str, NodeProto]:
    """Return the node that makes each tensor, by tensor name."""
    return {output: node for node in model.graph.node for output in node.output}


def constants_of(model: ModelProto) -> dict[str, TensorProto]:
    """Return the initializers by name."""
    return {item.name: item for item in model.graph.initializer}


def values_of(constants: Mapping[str, TensorProto], name: str) -> npt.NDArray[Any]:
    """Return the values of an initializer."""
    return numpy_helper.to_array(constants[name])


def shapes_of(model: ModelProto) -> dict[str, list[int]]:
    """Return the shapes of the tensors between nodes, as far as they were inferred; 0 where an axis is open."""
    return {item.name: [axis.dim_value for axis in item.type.tensor_type.shape.dim] for item in model.graph.value_info}


def add_constant(model: ModelProto, name: str, values: npt.NDArray[Any]) -> str:
    """Add an initializer and return its name."""
    model.graph.initializer.append(numpy_helper.from_array(values, name))
    return name


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
