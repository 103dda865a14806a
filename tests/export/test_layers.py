from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from edgeseg_export.layers import find_layers, kind_of, name_nodes, nodes_of
from edgeseg_export.quantize_ort import prepare


def model(nodes: list[NodeProto], weights: dict[str, tuple[int, ...]]) -> ModelProto:
    constants = [numpy_helper.from_array(np.zeros(shape, np.float32), name) for name, shape in weights.items()]
    image = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8, 6, 6])
    last = helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None)
    return helper.make_model(helper.make_graph(nodes, "net", [image], [last], constants))


@pytest.fixture
def gated() -> ModelProto:
    """A hard-swish convolution whose output is weighed, channel by channel, by what a squeeze-excite branch says."""
    nodes = [
        helper.make_node("Conv", ["x", "body.0.weight"], ["a"], "conv"),
        helper.make_node("HardSigmoid", ["a"], ["h"], "gate"),
        helper.make_node("Mul", ["a", "h"], ["swish"], "swish"),
        helper.make_node("GlobalAveragePool", ["swish"], ["mean"], "squeeze"),
        helper.make_node("Conv", ["mean", "se.weight"], ["e"], "excite"),
        helper.make_node("HardSigmoid", ["e"], ["s"], "sigmoid"),
        helper.make_node("Mul", ["swish", "s"], ["y"], "weigh"),
    ]
    return model(nodes, {"body.0.weight": (8, 1, 3, 3), "se.weight": (8, 8, 1, 1)})


def test_an_activation_belongs_to_its_convolution_and_a_gate_to_nobody(gated: ModelProto) -> None:
    gated.graph.node[0].attribute.append(helper.make_attribute("group", 8))
    found = [(layer.name, layer.kind, layer.nodes) for layer in find_layers(gated)]
    assert found == [
        ("body.0", "depthwise conv", ("conv", "gate", "swish")),
        ("squeeze", "pooling", ("squeeze",)),
        ("se", "pointwise conv", ("excite", "sigmoid")),
        ("weigh", "multiply", ("weigh",)),
    ]


def test_every_node_is_in_exactly_one_layer(trained: Any) -> None:
    graph = prepare(trained.onnx, equalised=False)
    layers = find_layers(graph)
    nodes = [node for layer in layers for node in layer.nodes]
    assert sorted(nodes) == sorted(node.name for node in graph.graph.node)
    assert len({layer.name for layer in layers}) == len(layers)
    kinds = [layer.kind for layer in layers]
    assert [kinds.count(f"{kind} conv") for kind in ("dense", "depthwise", "pointwise")] == [2, 3, 4]


@pytest.mark.parametrize(
    ("shape", "groups", "kind"),
    [
        ((8, 8, 3, 3), 1, "dense conv"),
        ((8, 8, 1, 1), 1, "pointwise conv"),
        ((8, 1, 3, 3), 8, "depthwise conv"),
        ((8, 4, 3, 3), 2, "grouped conv"),
    ],
)
def test_kinds_of_convolutions(shape: tuple[int, ...], groups: int, kind: str) -> None:
    assert kind_of(helper.make_node("Conv", ["x", "w"], ["y"], group=groups), {"w": shape}) == kind


def test_nodes_get_distinct_names(gated: ModelProto) -> None:
    for node in gated.graph.node[:3]:
        node.name = ""
    gated.graph.node[4].name = gated.graph.node[5].name = "twin"
    before = [list(node.input) + list(node.output) for node in gated.graph.node]
    name_nodes(gated)
    names = [node.name for node in gated.graph.node]
    assert len(set(names)) == len(names)
    assert names[4] == "twin"
    assert [list(node.input) + list(node.output) for node in gated.graph.node] == before


def test_an_unknown_layer_is_an_error(gated: ModelProto) -> None:
    layers = find_layers(gated)
    assert nodes_of(layers, ["se", "weigh"]) == ["excite", "sigmoid", "weigh"]
    with pytest.raises(KeyError, match="nope"):
        nodes_of(layers, ["nope"])


def test_onnx_is_only_read(trained: Any) -> None:
    before = trained.onnx.read_bytes()
    prepare(trained.onnx, equalised=True)
    assert trained.onnx.read_bytes() == before
    onnx.checker.check_model(prepare(trained.onnx, equalised=True))
