"""Pointwise convolutions that change places: the same numbers before and after, for fewer products."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import ModelProto, helper, shape_inference
from torch import Tensor, nn
from torch.nn import functional

from edgeseg_export.deployable import Deployable
from edgeseg_export.graph import constants_of, producers_of, shapes_of
from edgeseg_export.linear_graph import convolve_before_enlarging, merge_convolutions
from edgeseg_export.onnx_file import export_onnx
from edgeseg_runtime.contract import Contract, Label
from tests.export.onnx_graphs import RNG, kinds, model_of, run_all

HIGH, WIDE = 8, 10
"""Of the input of all graphs here, which has three channels."""
LINEAR = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}


def weights(*shape: int) -> Any:
    return RNG.normal(size=shape).astype(np.float32)


def pooled(name: str, factor: int, **attributes: Any) -> list[Any]:
    """Return nodes from `x` to `name`: made `factor` times coarser and enlarged again."""
    window: dict[str, Any] = {"kernel_shape": [factor, factor], "strides": [factor, factor]}
    return [
        helper.make_node("AveragePool", ["x"], [f"{name}_low"], **window),
        helper.make_node("Resize", [f"{name}_low", "", "", "sizes"], [name], **{**LINEAR, **attributes}),
    ]


def decoder(*nodes: Any, inputs: int, parts: list[str], bias: bool = True, **constants: Any) -> ModelProto:
    """Return a model that joins `parts` and convolves them to `y`."""
    names = ["joined", "fuse.weight", *(["fuse.bias"] if bias else [])]
    last = [
        helper.make_node("Concat", parts, ["joined"], axis=1),
        helper.make_node("Conv", names, ["y"], kernel_shape=[1, 1]),
    ]
    constants |= {"fuse.weight": weights(5, inputs, 1, 1), "sizes": np.array([1, 3, HIGH, WIDE], np.int64)}
    model = model_of([([*nodes, *last], constants | ({"fuse.bias": weights(5)} if bias else {}))], "y")
    return shape_inference.infer_shapes(model)


def products(model: ModelProto) -> int:
    """Return how many products the model's convolutions take."""
    constants, inferred = constants_of(model), shape_inference.infer_shapes(model)
    sizes = shapes_of(inferred) | {
        item.name: [axis.dim_value for axis in item.type.tensor_type.shape.dim] for item in inferred.graph.output
    }
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    return sum(prod(sizes[node.output[0]][2:]) * prod(constants[node.input[1]].dims) for node in convolutions)


class TestConvolveBeforeEnlarging:
    @pytest.mark.parametrize("bias", [False, True])
    @pytest.mark.parametrize(
        "attributes",
        [
            {},
            {"coordinate_transformation_mode": "align_corners"},
            {"coordinate_transformation_mode": "asymmetric"},
            {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
        ],
    )
    def test_the_numbers_stay_and_products_go(self, attributes: dict[str, Any], bias: bool) -> None:
        nodes = [*pooled("a", 2, **attributes), helper.make_node("Relu", ["x"], ["r"]), *pooled("b", 4, **attributes)]
        model = decoder(*nodes, inputs=9, parts=["a", "r", "b"], bias=bias)
        before, cost = run_all(model)[0], products(model)
        moved = convolve_before_enlarging(model)
        onnx.checker.check_model(moved, full_check=True)
        np.testing.assert_allclose(run_all(moved)[0], before, rtol=1e-4, atol=1e-5)
        assert kinds(moved).count("Conv") == 3 and "Concat" not in kinds(moved)
        assert products(moved) == 5 * 3 * (HIGH * WIDE + HIGH * WIDE // 4 + HIGH // 4 * (WIDE // 4)) < cost / 2

    def test_what_was_not_enlarged_is_convolved_together(self) -> None:
        plain = [helper.make_node(kind, ["x"], [kind]) for kind in ("Relu", "Tanh")]
        model = decoder(
            *plain,
            *(node for name in "abc" for node in pooled(name, 4)),
            inputs=15,
            parts=["Relu", "a", "b", "Tanh", "c"],
        )
        before = run_all(model)[0]
        moved = convolve_before_enlarging(model)
        np.testing.assert_allclose(run_all(moved)[0], before, rtol=1e-4, atol=1e-5)
        assert (kinds(moved).count("Conv"), kinds(moved).count("Concat"), kinds(moved).count("Add")) == (4, 1, 3)
        last = producers_of(moved)[moved.graph.node[-1].input[1]]  # summed last, where a convolution can add itself
        assert (last.op_type, producers_of(moved)[last.input[0]].op_type) == ("Conv", "Concat")

    @pytest.mark.parametrize("parts", ["a", "ab"])
    def test_all_may_have_been_enlarged(self, parts: str) -> None:
        model = decoder(*(node for name in parts for node in pooled(name, 4)), inputs=3 * len(parts), parts=[*parts])
        before = run_all(model)[0]
        moved = convolve_before_enlarging(model)
        np.testing.assert_allclose(run_all(moved)[0], before, rtol=1e-4, atol=1e-5)
        assert kinds(moved).count("Conv") == len(parts) and "Concat" not in kinds(moved)

    def test_cubic_interpolation_and_what_saves_little_stay(self) -> None:
        relu = helper.make_node("Relu", ["x"], ["r"])
        little = decoder(*pooled("a", 4), relu, inputs=6, parts=["a", "r"])
        cubic = decoder(*pooled("a", 4, mode="cubic"), *pooled("b", 4, mode="cubic"), inputs=6, parts=["a", "b"])
        for model in (little, cubic):
            assert convolve_before_enlarging(model) == model

    @pytest.mark.parametrize("case", ["crops", "read twice", "joined read twice", "3x3", "strided", "open sizes"])
    def test_what_would_differ_is_left_alone(self, case: str) -> None:
        model = decoder(*pooled("a", 4), *pooled("b", 4), inputs=6, parts=["a", "b"])
        untouched = ModelProto()
        untouched.CopyFrom(model)
        assert convolve_before_enlarging(untouched) != model  # the control
        conv = model.graph.node[-1]
        if case == "crops":
            modes = [item for node in model.graph.node for item in node.attribute if item.s == b"half_pixel"]
            for mode in modes:
                mode.s = b"tf_crop_and_resize"
        elif case in ("read twice", "joined read twice"):
            for name in {"read twice": "ab", "joined read twice": ["joined"]}[case]:
                model.graph.output.append(helper.make_tensor_value_info(name, 1, [None] * 4))
        elif case in ("3x3", "strided"):
            del conv.attribute[:]
            window = {"3x3": {"kernel_shape": [3, 3]}, "strided": {"kernel_shape": [1, 1], "strides": [2, 2]}}[case]
            conv.attribute.extend(helper.make_attribute(name, value) for name, value in window.items())
        else:
            for item in model.graph.value_info:
                item.type.tensor_type.shape.dim[2].dim_param = "height"
        kept = kinds(model)
        assert kinds(convolve_before_enlarging(model)) == kept


class TestMergeConvolutions:
    @pytest.mark.parametrize(
        ("first_bias", "second_bias"), [(False, False), (True, False), (False, True), (True, True)]
    )
    def test_two_linear_maps_are_one(self, first_bias: bool, second_bias: bool) -> None:
        nodes = [
            helper.make_node(
                "Conv",
                ["x", "a.weight", *["a.bias"] * first_bias],
                ["m"],
                kernel_shape=[3, 3],
                pads=[1] * 4,
                strides=[2, 1],
            ),
            helper.make_node("Conv", ["m", "b.weight", *["b.bias"] * second_bias], ["y"], kernel_shape=[1, 1]),
        ]
        constants = {"a.weight": weights(6, 3, 3, 3), "b.weight": weights(4, 6, 1, 1)}
        biases = {"a.bias": weights(6)} if first_bias else {}
        biases |= {"b.bias": weights(4)} if second_bias else {}
        model = model_of([(nodes, constants | biases)], "y")
        before = run_all(model)[0]
        assert merge_convolutions(model) == 1
        onnx.checker.check_model(model, full_check=True)
        assert kinds(model) == ["Conv"] and model.graph.node[0].input[1] == "a.weight"
        np.testing.assert_allclose(run_all(model)[0], before, rtol=1e-4, atol=1e-4)

    @pytest.mark.parametrize(
        "case", ["narrow between", "activation", "read twice", "grouped", "shared weights", "output"]
    )
    def test_what_is_not_one_or_costs_more_is_left_alone(self, case: str) -> None:
        middle = 1 if case == "narrow between" else 6
        groups = 3 if case == "grouped" else 1
        source = "r" if case == "activation" else "m"
        nodes = [
            helper.make_node("Conv", ["x", "a.weight"], ["m"], kernel_shape=[1, 1], group=groups),
            helper.make_node("Conv", [source, "b.weight"], ["y"], kernel_shape=[1, 1]),
        ]
        if case == "activation":
            nodes.insert(1, helper.make_node("Relu", ["m"], ["r"]))
        outputs = ["y"]
        if case == "read twice":
            nodes.append(helper.make_node("Relu", ["m"], ["z"]))
            outputs.append("z")
        elif case == "shared weights":
            nodes.append(helper.make_node("Conv", ["x", "a.weight"], ["z"], kernel_shape=[1, 1]))
            outputs.append("z")
        elif case == "output":
            outputs.append("m")
        constants = {"a.weight": weights(middle, 3 // groups, 1, 1), "b.weight": weights(8, middle, 1, 1)}
        model = model_of([(nodes, constants)], *outputs)
        before = kinds(model)
        assert merge_convolutions(model) == 0
        assert kinds(model) == before


class Pyramid(nn.Module):
    """A head like SegFormer's: projections of three sizes, enlarged, joined, mixed."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 4, 1)
        self.project = nn.ModuleList(nn.Conv2d(8, 16, 1) for _ in range(3))
        self.fuse = nn.Sequential(nn.Conv2d(48, 16, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.head = nn.Conv2d(16, 3, 1)

    def forward(self, image: Tensor) -> Tensor:
        found = [functional.relu(self.stem(image))]
        found += [functional.avg_pool2d(found[0], 2), functional.avg_pool2d(found[0], 4)]
        maps = [project(one) for project, one in zip(self.project, found, strict=True)]
        size = maps[0].shape[-2:]
        large = [functional.interpolate(one, size=size, mode="bilinear") for one in maps[1:]]
        scores: Tensor = self.head(self.fuse(torch.cat([maps[0], *large], dim=1)))
        return scores


def test_a_head_of_several_sizes_is_exported_without_its_detours(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = Pyramid()
    norm = net.fuse[1]
    assert isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None
    nn.init.normal_(norm.running_mean)
    labels = tuple(Label(f"c{index}", (index, 0, 0)) for index in range(3))
    module = Deployable(net, Contract(labels=labels, height=64, width=96)).eval()
    export_onnx(module, tmp_path / "model.onnx")
    model = onnx.load(tmp_path / "model.onnx")
    windows = [list(constants_of(model)[node.input[1]].dims) for node in model.graph.node if node.op_type == "Conv"]
    assert windows == [[8, 3, 3, 3], *[[16, 8, 1, 1]] * 3, [3, 16, 1, 1]]
    frames = RNG.integers(0, 256, (1, 64, 96, 3), dtype=np.uint8)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    with torch.no_grad():
        wanted = module.scores(torch.from_numpy(frames)).numpy()
    np.testing.assert_allclose(session.run(None, {"frames": frames})[0], wanted, rtol=1e-4, atol=1e-4)
