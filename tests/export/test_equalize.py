from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from edgeseg_export.equalize import equalise
from edgeseg_export.likeness import Masks
from edgeseg_export.quantize_openvino import quantize_ir
from edgeseg_export.quantize_ort import Recipe, quantize_onnx

Array = npt.NDArray[np.float32]


def network(activation: str = "Relu", groups: int = 6, branch: bool = False) -> ModelProto:
    """conv 4→6, an activation, a grouped convolution, ReLU, pointwise 6→3; channels of very different size."""
    rng = np.random.default_rng(0)
    weights = {
        "w1": rng.normal(size=(6, 4, 3, 3)) * 10.0 ** np.arange(-3, 3)[:, None, None, None],
        "b1": rng.normal(size=6),
        "w2": rng.normal(size=(6, 6 // groups, 3, 3)),
        "b2": rng.normal(size=6),
        "w3": rng.normal(size=(3, 6, 1, 1)) * 10.0 ** np.arange(3, -3, -1)[None, :, None, None],
    }
    nodes: list[NodeProto] = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], pads=[1] * 4),
        helper.make_node(activation, ["c1"], ["a1"]),
        helper.make_node("Conv", ["a1", "w2", "b2"], ["c2"], pads=[1] * 4, group=groups),
        helper.make_node("Relu", ["c2"], ["a2"]),
        helper.make_node("Conv", ["a2", "w3"], ["c3"]),
    ]
    outputs = ["c3"]
    if branch:
        nodes.append(helper.make_node("GlobalAveragePool", ["a1"], ["aside"]))
        outputs.append("aside")
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 8, 8])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def run(model: ModelProto, x: Array) -> Array:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    result: Array = session.run(None, {"x": x})[0]
    return result


def weight(model: ModelProto, name: str) -> Array:
    return numpy_helper.to_array(next(item for item in model.graph.initializer if item.name == name))


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_the_function_stays_and_the_ranges_meet(groups: int) -> None:
    x = np.random.default_rng(1).normal(size=(1, 4, 8, 8)).astype(np.float32)
    model = network(groups=groups)
    before = run(model, x)
    found = equalise(model)
    assert found.pairs == 2
    np.testing.assert_allclose(run(model, x), before, rtol=1e-3, atol=1e-4 * np.abs(before).max())
    first, second = np.abs(weight(model, "w1")).max((1, 2, 3)), weight(model, "w2")
    # by hand: channel i of the input is read by the outputs of its own group only
    per_group = 6 // groups
    read = [
        np.abs(second[i // per_group * per_group : (i // per_group + 1) * per_group, i % per_group]).max()
        for i in range(6)
    ]
    np.testing.assert_allclose(first, read, rtol=0.02)
    written = np.abs(second).max((1, 2, 3))
    np.testing.assert_allclose(written, np.abs(weight(model, "w3")).max((0, 2, 3)), rtol=0.02)


@pytest.mark.parametrize("activation", ["HardSwish", "Sigmoid", "Tanh"])
def test_what_does_not_scale_is_left_alone_and_named(activation: str) -> None:
    model = network(activation)
    kept = weight(model, "w1").copy()
    found = equalise(model)
    assert (found.pairs, found.left_alone) == (1, {f"{activation} between": 1, "an output": 1})
    np.testing.assert_array_equal(weight(model, "w1"), kept)
    assert f"1 × {activation} between" in str(found)


def test_a_branch_is_left_alone() -> None:
    model = network(branch=True)
    found = equalise(model)
    assert (found.pairs, found.left_alone) == (1, {"a branch between": 1, "an output": 1})


def test_a_dead_channel_makes_no_nan() -> None:
    model = network()
    for item in model.graph.initializer:
        if item.name == "w1":
            array = numpy_helper.to_array(item).copy()
            array[2] = 0
            item.CopyFrom(numpy_helper.from_array(array, "w1"))
    equalise(model)
    assert all(np.isfinite(numpy_helper.to_array(item)).all() for item in model.graph.initializer)


@pytest.fixture(scope="module")
def unbalanced(trained: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trained net with every second channel of three ReLU'd convolutions up 100 times and its reader down."""
    model = onnx.load(trained.onnx)
    constants = {item.name: item for item in model.graph.initializer}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    for place in (1, 4, 6):
        first, second = convolutions[place : place + 2]  # depthwise, pointwise
        factor = np.where(np.arange(constants[first.input[1]].dims[0]) % 4 == 0, 100, 1).astype(np.float32)
        changes = {
            first.input[1]: factor[:, None, None, None],
            first.input[2]: factor,
            second.input[1]: 1 / factor[None, :, None, None],
        }
        for name, by in changes.items():
            constants[name].CopyFrom(numpy_helper.from_array(numpy_helper.to_array(constants[name]) * by, name))
    path = tmp_path_factory.mktemp("unbalanced") / "model.onnx"
    onnx.save(model, path)
    return path


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_it_mends_planted_imbalance(trained: Any, unbalanced: Path, tmp_path: Path, engine: str) -> None:
    frames = [trained.reference.pictures[index].image for index in range(12)]
    calibration = trained.calibration[:24]
    masks = Masks()
    original = masks.results(trained.onnx, frames)
    assert masks.share(original, masks.results(unbalanced, frames)) > 0.9999  # float does not notice
    found = {}
    for equalised in (False, True):
        path = tmp_path / f"{equalised}.{'onnx' if engine == 'onnxruntime' else 'xml'}"
        if engine == "onnxruntime":
            quantize_onnx(unbalanced, path, trained.module, calibration, Recipe("percentile", equalised))
        else:
            quantize_ir(unbalanced, path, trained.module, calibration, equalised=equalised)
        found[equalised] = masks.share(original, masks.results(path, frames))
    assert found[True] > 0.975
    assert found[False] < found[True] - 0.02
