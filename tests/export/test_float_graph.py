"""Each rewrite of a float graph: the same numbers before and after, and what it is for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import ModelProto, helper
from torch import Tensor, nn

from edgeseg.models.blocks import pool_to
from edgeseg_export.deployable import Deployable
from edgeseg_export.float_graph import average_by_convolution, average_globally, drop_copies, fold_input_scale
from edgeseg_export.onnx_file import export_onnx
from edgeseg_runtime.contract import Contract, Label
from tests.export.onnx_graphs import (
    RNG,
    VALUES,
    kinds,
    model_of,
    run,
    run_all,
)

WEIGHT = RNG.normal(size=(4, 3, 3, 3)).astype(np.float32)
SCALE = np.array([0.5, 2, 3], np.float32).reshape(1, 3, 1, 1)


def conv(source: str, weight: str, output: str, **attributes: Any) -> Any:
    return helper.make_node("Conv", [source, weight], [output], pads=[1, 1, 1, 1], **attributes)


class TestFoldInputScale:
    @pytest.mark.parametrize("swapped", [False, True])
    def test_the_product_goes_and_the_numbers_stay(self, swapped: bool) -> None:
        names = ["s", "x"] if swapped else ["x", "s"]
        nodes = [helper.make_node("Mul", names, ["m"]), conv("m", "w", "y", strides=[2, 2])]
        model = model_of([(nodes, {"s": SCALE, "w": WEIGHT})], "y")
        before = run_all(model)
        assert fold_input_scale(model)
        assert kinds(model) == ["Conv"]
        assert [item.name for item in model.graph.initializer] == ["w"]
        np.testing.assert_allclose(run_all(model)[0], before[0], rtol=1e-5, atol=1e-5)

    def test_two_convolutions_may_read_it(self) -> None:
        nodes = [helper.make_node("Mul", ["x", "s"], ["m"]), conv("m", "w", "y"), conv("m", "v", "z")]
        model = model_of([(nodes, {"s": SCALE, "w": WEIGHT, "v": 2 * WEIGHT})], "y", "z")
        before = run_all(model)
        assert fold_input_scale(model)
        for one, other in zip(run_all(model), before, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)

    @pytest.mark.parametrize(
        "case", ["shared weight", "whole picture", "three dimensions", "also an output", "other reader", "grouped"]
    )
    def test_what_cannot_be_folded_is_left_alone(self, case: str) -> None:
        constants = {"s": SCALE, "w": WEIGHT}
        nodes = [helper.make_node("Mul", ["x", "s"], ["m"]), conv("m", "w", "y")]
        outputs = ["y"]
        if case == "shared weight":
            nodes.append(conv("x", "w", "z"))
            outputs.append("z")
        elif case == "whole picture":
            constants["s"] = RNG.normal(size=VALUES.shape).astype(np.float32)
        elif case == "three dimensions":
            constants["s"] = SCALE[0]
        elif case == "also an output":
            outputs.append("m")
        elif case == "other reader":
            nodes.append(helper.make_node("Relu", ["m"], ["z"]))
            outputs.append("z")
        else:
            constants["w"] = WEIGHT[:3, :1].copy()
            nodes[1] = conv("m", "w", "y", group=3)
        model = model_of([(nodes, constants)], *outputs)
        before = model.SerializeToString(deterministic=True)
        run_all(model)
        assert not fold_input_scale(model)
        assert model.SerializeToString(deterministic=True) == before


class TestAverageGlobally:
    @pytest.mark.parametrize(("axes", "keep", "done"), [([2, 3], 1, 1), ([-1, -2], 1, 1), ([3], 1, 0), ([2, 3], 0, 0)])
    def test_means_over_the_picture_only(self, axes: list[int], keep: int, done: int) -> None:
        mean = helper.make_node("ReduceMean", ["x", "axes"], ["y"], keepdims=keep)
        model = model_of([([mean], {"axes": np.array(axes, np.int64)})], "y", rank=4 if keep else 2)
        before = run(model)
        assert average_globally(model) == done
        assert kinds(model) == ["GlobalAveragePool" if done else "ReduceMean"]
        np.testing.assert_allclose(run(model), before, rtol=1e-6, atol=1e-6)


class TestDropCopies:
    PLACES = np.arange(3).reshape(1, 3, 1, 1)

    def model(self, places: Any, *more: Any, outputs: tuple[str, ...] = ("y",)) -> ModelProto:
        nodes = [
            helper.make_node("GlobalAveragePool", ["x"], ["mean"]),
            helper.make_node("Reshape", ["mean", "flat"], ["values"]),
            helper.make_node("Gather", ["values", "places"], ["copy"], axis=0),
            helper.make_node("Add", ["x", "copy"], ["y"]),
            *more,
        ]
        constants = {"flat": np.array([-1], np.int64), "places": places}
        return onnx.shape_inference.infer_shapes(model_of([(nodes, constants)], *outputs))

    def test_values_in_their_own_order_and_shape_need_no_copy(self) -> None:
        model = self.model(self.PLACES)
        before = run(model)
        assert drop_copies(model) == 1
        assert kinds(model) == ["GlobalAveragePool", "Add"] and not model.graph.initializer
        np.testing.assert_array_equal(run(model), before)

    @pytest.mark.parametrize("case", ["another order", "another shape", "another reader", "an output"])
    def test_what_is_more_than_a_copy_stays(self, case: str) -> None:
        places: Any = self.PLACES
        more, outputs = [], ["y"]
        if case == "another order":
            places = places[:, ::-1].copy()
        elif case == "another shape":
            places = places.reshape(3, 1, 1)
        elif case == "another reader":
            more.append(helper.make_node("Relu", ["values"], ["z"]))
            more.append(helper.make_node("Reshape", ["z", "four"], ["w"]))
            more.insert(0, helper.make_node("Constant", [], ["four"], value_ints=[1, 3, 1, 1]))
            outputs.append("w")
        else:
            outputs.append("copy")
        model = self.model(places, *more, outputs=tuple(outputs))
        before = model.SerializeToString(deterministic=True)
        assert drop_copies(model) == 0
        assert model.SerializeToString(deterministic=True) == before


class TestAverageByConvolution:
    def model(self, *, known: bool = True, **attributes: Any) -> ModelProto:
        nodes = [
            helper.make_node("Relu", ["x"], ["r"]),
            helper.make_node("AveragePool", ["r"], ["y"], "pool", **attributes),
        ]
        model = model_of([(nodes, {})], "y")
        return onnx.shape_inference.infer_shapes(model) if known else model

    @pytest.mark.parametrize(
        "attributes",
        [
            {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1], "count_include_pad": 1},
            {"kernel_shape": [2, 3], "strides": [2, 1]},
            {"kernel_shape": [5, 5], "pads": [2, 2, 2, 2], "count_include_pad": 1},
            {"kernel_shape": [2, 2], "dilations": [2, 3]},
        ],
    )
    def test_the_numbers_stay(self, attributes: dict[str, Any]) -> None:
        model = self.model(**attributes)
        before = run(model)
        assert average_by_convolution(model) == 1
        assert kinds(model) == ["Relu", "Conv"]
        np.testing.assert_allclose(run(model), before, rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize(
        "attributes",
        [
            {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]},  # zeros around the picture do not count
            {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1},
            {"kernel_shape": [3, 3], "auto_pad": "SAME_UPPER"},
            {"kernel_shape": [3, 3], "known": False},
        ],
    )
    def test_what_a_convolution_does_not_do_is_left_alone(self, attributes: dict[str, Any]) -> None:
        model = self.model(**attributes)
        before = model.SerializeToString(deterministic=True)
        assert average_by_convolution(model) == 0
        assert model.SerializeToString(deterministic=True) == before


def test_a_global_pool_of_torch_is_one_operator(tmp_path: Path) -> None:
    torch.manual_seed(0)
    pooled = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 2, 1))
    contract = Contract((Label("a", (0, 0, 0)), Label("b", (9, 9, 9))), 16, 24)
    export_onnx(Deployable(pooled.eval(), contract), tmp_path / "model.onnx")
    found = kinds(onnx.load(tmp_path / "model.onnx"))
    assert found.count("GlobalAveragePool") == 1
    assert not {"ReduceMean", "Reshape", "Gather"} & set(found)


class Pool(nn.Module):
    def __init__(self, bins: int) -> None:
        super().__init__()
        self.bins = bins

    def forward(self, features: Tensor) -> Tensor:
        return pool_to(features, self.bins)


@pytest.mark.parametrize(("bins", "products"), [(2, 0), (3, 2), (5, 2)])
def test_windows_that_are_not_alike_are_products(bins: int, products: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    contract = Contract((Label("a", (0, 0, 0)), Label("b", (9, 9, 9))), 16, 24)
    module = Deployable(nn.Sequential(nn.Conv2d(3, 2, 3, 2, 1), Pool(bins)).eval(), contract)  # of 8×12 pixels
    export_onnx(module, tmp_path / "model.onnx")
    found = kinds(onnx.load(tmp_path / "model.onnx"))
    assert found.count("MatMul") == products and not {"GatherND", "Where"} & set(found)
    frame = RNG.integers(0, 256, (1, 16, 24, 3), dtype=np.uint8)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    with torch.no_grad():
        wanted = module.scores(torch.from_numpy(frame)).numpy()
    np.testing.assert_allclose(session.run(None, {"frames": frame})[0], wanted, rtol=1e-4, atol=1e-5)
