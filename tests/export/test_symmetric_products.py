"""Ranges of what is multiplied with each other: around zero, and no narrower; of everything else as they were."""

from __future__ import annotations

from typing import Any

import numpy as np
import openvino
import pytest
from openvino import opset13

from edgeseg_export.symmetric_products import make_products_symmetric
from edgeseg_runtime.machine import machine_facts

SHAPE = [1, 2, 64, 32]
RNG = np.random.default_rng(0)
WEIGHTS = RNG.normal(size=(32, 8)).astype(np.float32)
GIVEN = {"query": (-0.5, 1.0), "key": (-0.75, 0.25), "value": (-2.0, 2.5), "shares": (0.0, 0.5), "mixed": (-1.0, 1.5)}


def rounded(value: Any, name: str) -> Any:
    bounds = [np.array(bound, np.float32) for bound in GIVEN[name] * 2]
    node = opset13.fake_quantize(value, *bounds, levels=256)
    node.set_friendly_name(name)
    return node


def attention() -> openvino.Model:
    """Attention of two heads, all its inputs rounded, and a product with weights behind it."""
    inputs = {name: opset13.parameter(SHAPE, np.float32, name=name) for name in ("query", "key", "value")}
    query, key, value = (rounded(node, name) for name, node in inputs.items())
    moved = opset13.transpose(key, np.array([0, 1, 3, 2]))
    shares = rounded(opset13.softmax(opset13.matmul(query, moved, False, False), 3), "shares")
    mixed = opset13.matmul(shares, value, False, False)
    mixed.set_friendly_name("attention")
    scores = opset13.matmul(rounded(mixed, "mixed"), opset13.constant(WEIGHTS), False, False)
    return openvino.Model([scores], list(inputs.values()), "attention")


def ranges(model: openvino.Model) -> dict[str, tuple[float, ...]]:
    return {
        node.get_friendly_name(): tuple(float(node.input_value(index).get_node().data) for index in (1, 2, 3, 4))
        for node in model.get_ops()
        if node.get_type_name() == "FakeQuantize"
    }


def test_only_what_is_multiplied_with_each_other_is_widened() -> None:
    model = attention()
    assert make_products_symmetric(model) == 3
    expected = {
        "query": (-1.0 * 128 / 127, 1.0),
        "key": (-0.75, 0.75 * 127 / 128),
        "value": (-2.5 * 128 / 127, 2.5),
        "shares": GIVEN["shares"],
        "mixed": GIVEN["mixed"],
    }
    for name, found in ranges(model).items():
        assert found == pytest.approx(expected[name] * 2, rel=1e-6), name


def test_it_computes_what_the_new_ranges_say() -> None:
    values = {name: RNG.uniform(*GIVEN[name], SHAPE).astype(np.float32) for name in ("query", "key", "value")}
    model = attention()
    make_products_symmetric(model)
    held = ranges(model)

    def by_hand(array: Any, name: str) -> Any:
        low, high = held[name][:2]
        step = (high - low) / 255
        return np.round((np.clip(array, low, high) - low) / step) * step + low

    query, key, value = (by_hand(values[name], name) for name in ("query", "key", "value"))
    likeness = np.exp(query @ key.swapaxes(2, 3))
    shares = by_hand(likeness / likeness.sum(3, keepdims=True), "shares")
    expected = by_hand(shares @ value, "mixed") @ WEIGHTS
    steps = (GIVEN["mixed"][1] - GIVEN["mixed"][0]) / 255 * np.abs(WEIGHTS).sum(0).max()
    compiled = openvino.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    assert np.abs(compiled(list(values.values()))[0] - expected).max() < steps  # were all rounded otherwise


@pytest.mark.skipif(
    "avx512_vnni" not in machine_facts()["cpu"]["flags"], reason="needs a processor that attends in int8"
)
def test_attention_is_computed_in_int8_then() -> None:
    def precision(model: openvino.Model) -> str:
        compiled = openvino.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        nodes = {node.get_friendly_name(): node.get_rt_info() for node in compiled.get_runtime_model().get_ops()}
        return str(nodes["mixed"]["runtimePrecision"].astype(str))

    model = attention()
    assert precision(model) == "f32"
    make_products_symmetric(model)
    assert precision(model) == "i8"
