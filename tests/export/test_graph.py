from __future__ import annotations

from onnx import helper

from edgeseg_export.graph import set_metadata
from tests.export.onnx_graphs import model_of


def test_metadata_is_added_and_replaced() -> None:
    model = model_of([([helper.make_node("Relu", ["x"], ["y"])], {})], "y")
    set_metadata(model, {"a": "1", "b": "2"})
    set_metadata(model, {"b": "3"})
    assert {item.key: item.value for item in model.metadata_props} == {"a": "1", "b": "3"}
