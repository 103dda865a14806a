"""Faults of instance models to plant in an exported ONNX file of prototypes: see `edgeseg_export.parity.faults`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from onnx import ModelProto, helper, numpy_helper

from edgeseg_export.parity.faults import contract_in, rename_output, set_contract
from edgeseg_runtime.contract import Selection


def shift_boxes(model: ModelProto, pixels: float = 0.5) -> None:
    """Move every box right and down, as a decoder does that takes a cell's corner for its middle."""
    right = rename_output(model, "boxes")
    model.graph.initializer.append(numpy_helper.from_array(np.array(pixels, np.float32), "wrong_move"))
    model.graph.node.append(helper.make_node("Add", [right, "wrong_move"], ["boxes"]))


def shift_prototypes(model: ModelProto, cells: int = 1) -> None:
    """Move the prototypes right by some cells, the last ones coming in again on the left."""
    right = rename_output(model, "prototypes")
    constants = {"wrong_start": -cells, "wrong_end": np.iinfo(np.int64).max, "wrong_zero": 0, "wrong_axis": 3}
    model.graph.initializer.extend(
        numpy_helper.from_array(np.array([value], np.int64), name) for name, value in constants.items()
    )
    model.graph.node.extend(
        [
            helper.make_node("Slice", [right, "wrong_start", "wrong_end", "wrong_axis"], ["wrong_first"]),
            helper.make_node("Slice", [right, "wrong_zero", "wrong_start", "wrong_axis"], ["wrong_rest"]),
            helper.make_node("Concat", ["wrong_first", "wrong_rest"], ["prototypes"], axis=3),
        ]
    )


def shift_scores(model: ModelProto, by: float = 0.1) -> None:
    """Add to every score, as a sigmoid of another bias does."""
    right = rename_output(model, "scores")
    model.graph.initializer.append(numpy_helper.from_array(np.array(by, np.float32), "wrong_bias"))
    model.graph.node.append(helper.make_node("Add", [right, "wrong_bias"], ["scores"]))


def move_thresholds(model: ModelProto, to: float) -> None:
    """State another score threshold for every class."""
    selection = _selection(model)
    _select(model, replace(selection, thresholds=(to,) * len(selection.thresholds)))


def leave_duplicates(model: ModelProto) -> None:
    """State that boxes of one object may overlap as they like."""
    _select(model, replace(_selection(model), overlap=1.0))


def _selection(model: ModelProto) -> Selection:
    selection = contract_in(model).selection
    if selection is None:
        raise ValueError("the file selects no objects")
    return selection


def _select(model: ModelProto, selection: Selection) -> None:
    set_contract(model, replace(contract_in(model), selection=selection))
