from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from edgeseg_export.instances.branches import inline_branches_for_nothing


def constant(values: list[int], output: str) -> NodeProto:
    return helper.make_node("Constant", [], [output], value=numpy_helper.from_array(np.array(values, np.int64)))


def branch(name: str, *nodes: NodeProto, output: str) -> GraphProto:
    return helper.make_graph(list(nodes), name, [], [helper.make_tensor_value_info(output, TensorProto.INT64, [None])])


def model(nothing: list[int]) -> ModelProto:
    """y = `nothing` if x is empty, else 2 x + 1; twice in a row, the branches with equal names inside."""
    nodes = []
    for place, (read, written) in enumerate((("x", "middle"), ("middle", "y"))):
        other = branch(
            "else",
            constant([2], "two"),
            helper.make_node("Mul", [read, "two"], ["double"]),
            helper.make_node("Add", ["double", "one"], ["answer"]),
            output="answer",
        )
        other.initializer.append(numpy_helper.from_array(np.array([1], np.int64), "one"))
        then = branch("then", constant(nothing, "none"), output="none")
        nodes += [
            helper.make_node("Size", [read], [f"size{place}"]),
            helper.make_node("Equal", [f"size{place}", "zero"], [f"empty{place}"]),
            helper.make_node("If", [f"empty{place}"], [written], then_branch=then, else_branch=other),
        ]
    ports = [helper.make_tensor_value_info(name, TensorProto.INT64, [f"{name}s"]) for name in ("x", "y")]
    zero = numpy_helper.from_array(np.array(0, np.int64), "zero")
    graph = helper.make_graph(nodes, "branches", ports[:1], ports[1:], [zero])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    onnx.checker.check_model(made, full_check=True)
    return made


def run(made: ModelProto, values: list[int]) -> list[int]:
    session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    found: list[int] = session.run(None, {"x": np.array(values, np.int64)})[0].tolist()
    return found


@pytest.mark.parametrize("values", [[], [3], [1, 2]])
def test_what_is_inlined_computes_the_same(values: list[int]) -> None:
    before, after = model([]), model([])
    assert inline_branches_for_nothing(after) == 2
    onnx.checker.check_model(after, full_check=True)
    assert all(node.op_type != "If" for node in after.graph.node)
    assert run(before, values) == run(after, values) == [4 * value + 3 for value in values]


def test_other_branches_stay() -> None:
    made = model([7])
    before = made.SerializeToString()
    assert inline_branches_for_nothing(made) == 0
    assert made.SerializeToString() == before
    assert run(made, []) == [15]
