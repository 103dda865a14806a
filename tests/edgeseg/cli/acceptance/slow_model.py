"""A model that takes as long as a test says, and much longer for glaring pictures."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgeseg_runtime.contract import CONTRACT_KEY, PRECISION_KEY, Contract
from edgeseg_runtime.segmenter import Segmenter

WHITE = 250.0
"""Grey levels from which a picture glares; see `Scene.bright`."""
_TRIAL = 20_000


def write_slow_model(path: Path, contract: Contract, seconds: float, glaring: float = 1.0) -> Path:
    """Write a model whose masks are the tiny model's and take about `seconds`, and `glaring` times that in glare.

    The time is spent in a loop that the engine cannot shorten; its length is measured here and now.
    """
    _write(path, contract, _TRIAL, 0)
    trial = Segmenter.load(path, threads=1)
    picture, took = np.zeros((*contract.size, 3), np.uint8), []
    for _ in range(5):
        started = time.perf_counter()
        trial(picture)
        took.append(time.perf_counter() - started)
    rounds = round(_TRIAL * seconds / min(took))
    _write(path, contract, rounds, round(rounds * (glaring - 1)))
    return path


def _write(path: Path, contract: Contract, rounds: int, more: int) -> None:
    constants: dict[str, np.ndarray[Any, Any]] = {
        "white": np.array(WHITE, np.float32),
        "rounds": np.array(rounds, np.int64),
        "more": np.array(more, np.int64),
        "true": np.array(True),
        "zero": np.array(0, np.float32),
        "order": np.arange(len(contract.labels)),
    }
    nodes = [
        helper.make_node("Cast", ["image"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["real"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Gather", ["planes", "order"], ["chosen"], axis=1),
        helper.make_node("ReduceMax", ["planes"], ["brightest"], keepdims=0),
        helper.make_node("GreaterOrEqual", ["brightest", "white"], ["glares"]),
        helper.make_node("Cast", ["glares"], ["many"], to=TensorProto.INT64),
        helper.make_node("Mul", ["many", "more"], ["besides"]),
        helper.make_node("Add", ["rounds", "besides"], ["times"]),
        helper.make_node("Loop", ["times", "true", "zero"], ["same"], body=_body()),
        helper.make_node("Add", ["chosen", "same"], ["scores"]),
    ]
    rows, columns = contract.size
    graph = helper.make_graph(
        nodes,
        "slow",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, rows, columns, 3])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, len(contract.labels), rows, columns])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, {CONTRACT_KEY: contract.to_json(), PRECISION_KEY: "float32"})
    onnx.save(model, path)


def _body() -> onnx.GraphProto:
    """One round: the cosine of the value before."""
    kinds = [("step", TensorProto.INT64), ("go", TensorProto.BOOL), ("value", TensorProto.FLOAT)]
    results = [("go_on", TensorProto.BOOL), ("next", TensorProto.FLOAT)]
    return helper.make_graph(
        [helper.make_node("Identity", ["go"], ["go_on"]), helper.make_node("Cos", ["value"], ["next"])],
        "round",
        [helper.make_tensor_value_info(name, kind, []) for name, kind in kinds],
        [helper.make_tensor_value_info(name, kind, []) for name, kind in results],
    )
