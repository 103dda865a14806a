"""Take branches for the case of no objects out of an ONNX graph."""

from __future__ import annotations

from onnx import GraphProto, ModelProto, NodeProto, helper, numpy_helper


def inline_branches_for_nothing(model: ModelProto) -> int:
    """Put the other branch in the place of every `If` that answers no objects with an empty constant; return how many.

    torchvision's NMS asks whether there are boxes at all. OpenVINO makes one number of the constant's none, and an
    object of what lies in memory. What the other branch computes of no boxes is as empty, in both engines.
    """
    nodes: list[NodeProto] = []
    count = 0
    for node in model.graph.node:
        branches = {item.name: item.g for item in node.attribute} if node.op_type == "If" else {}
        if not branches or not _is_nothing(branches["then_branch"]):
            nodes.append(node)
            continue
        nodes += _inlined(branches["else_branch"], node, model.graph)
        count += 1
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return count


def _is_nothing(graph: GraphProto) -> bool:
    """Tell whether a branch gives one constant without elements."""
    if len(graph.output) != 1 or len(graph.node) != 1 or graph.node[0].op_type != "Constant":
        return False
    return bool(numpy_helper.to_array(helper.get_node_attr_value(graph.node[0], "value")).size == 0)


def _inlined(branch: GraphProto, place: NodeProto, outer: GraphProto) -> list[NodeProto]:
    """Return a branch's nodes under names that nothing else has, its output under that of the node it takes over."""
    prefix = f"{place.output[0]}/"
    inner = {name for node in branch.node for name in node.output if name} | {item.name for item in branch.initializer}
    names = {name: prefix + name for name in inner} | {branch.output[0].name: place.output[0]}
    for item in branch.initializer:
        item.name = names[item.name]
        outer.initializer.append(item)
    nodes = []
    for node in branch.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
        node.name = prefix + node.name if node.name else ""
        nodes.append(node)
    return nodes
