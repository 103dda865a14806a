"""OpenVINO's int8 products of two activations, as attention has them: it has them of ranges around zero only."""

from __future__ import annotations

from typing import Any

import numpy as np

_MOVES = frozenset({"Reshape", "Transpose", "Squeeze", "Unsqueeze", "Gather", "Split", "VariadicSplit"})
"""What hands values on as they are."""


def make_products_symmetric(model: Any) -> int:
    """Widen the ranges of what a quantised OpenVINO model multiplies with each other, and return how many.

    With a zero point on either side a MatMul of activations is computed in float, and all that is fused with it, a
    softmax between two of them as well. A range is widened to [-128 m / 127, m] so that it holds what it held; one
    without negative values stays. Products with weights have zero points in int8 and are left alone.
    """
    found: dict[str, Any] = {}
    for product in model.get_ordered_ops():
        if product.get_type_name() == "MatMul":
            sides = [_source(product.input_value(index)) for index in range(2)]
            if all(_rounds_activations(side) for side in sides):
                found |= {side.get_friendly_name(): side for side in sides}
    return sum(_widen(rounding) for rounding in found.values())


def _source(value: Any) -> Any:
    """Return the node that `value` comes from, with no more in between than what hands it on."""
    node = value.get_node()
    while node.get_type_name() in _MOVES:
        node = node.input_value(0).get_node()
    return node


def _rounds_activations(node: Any) -> bool:
    if node.get_type_name() != "FakeQuantize":
        return False
    rounded: str = node.input_value(0).get_node().get_type_name()
    return rounded != "Constant"


def _widen(rounding: Any) -> bool:
    from openvino import opset13

    low, high = (rounding.input_value(index).get_node().data for index in (1, 2))
    if (low >= 0).all():
        return False
    most = np.maximum(high, -low * 127 / 128).astype(np.float32)
    for indices, bound in (((1, 3), -most * 128 / 127), ((2, 4), most)):
        constant = opset13.constant(bound.astype(np.float32))
        for index in indices:
            rounding.input(index).replace_source_output(constant.output(0))
    return True
