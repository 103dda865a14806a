from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import openvino
import pytest
import torch
from onnx import TensorProto, numpy_helper
from torch import Tensor, nn

from edgeseg.models.blocks import ConvBnRelu
from edgeseg_export.deployable import Deployable, TorchSegmenter
from edgeseg_export.onnx_file import export_onnx
from edgeseg_export.quantize_openvino import quantize_ir
from edgeseg_export.quantize_ort import quantize_onnx, score_nodes
from edgeseg_runtime.contract import PRECISION_KEY, Contract
from edgeseg_runtime.segmenter import Segmenter
from tests.export.onnx_graphs import optimised_kinds, pixels_read_as_one


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("int8")


@pytest.fixture(scope="module")
def onnx_int8(trained: Any, folder: Path) -> Path:
    path = folder / "onnx" / "model.onnx"
    quantize_onnx(trained.onnx, path, trained.module, trained.calibration)
    return path


@pytest.fixture(scope="module")
def ir_int8(trained: Any, folder: Path) -> Path:
    path = folder / "openvino" / "model.xml"
    quantize_ir(trained.onnx, path, trained.module, trained.calibration)
    return path


def agreement(trained: Any, path: Path) -> float:
    original, segmenter = TorchSegmenter(trained.module), Segmenter.load(path)
    frames = [trained.reference.pictures[index].image for index in range(len(trained.reference.pictures))]
    return float(np.mean([(original(frame) == segmenter(frame).mask).mean() for frame in frames]))


class TestOnnx:
    def test_every_convolution_is_between_quantisers(self, onnx_int8: Path, trained: Any) -> None:
        model = onnx.load(onnx_int8)
        onnx.checker.check_model(model, full_check=True)
        producers = {name: node for node in model.graph.node for name in node.output}
        constants = {item.name: item for item in model.graph.initializer}
        convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
        assert len(convolutions) == sum(node.op_type == "Conv" for node in onnx.load(trained.onnx).graph.node)
        for node in convolutions[:-1]:  # the last makes the scores, and stays in float
            data, weight = producers[node.input[0]], producers[node.input[1]]
            assert data.op_type == weight.op_type == "DequantizeLinear"
            assert constants[data.input[2]].data_type == TensorProto.UINT8
            kernel, scales = constants[weight.input[0]], numpy_helper.to_array(constants[weight.input[1]])
            assert kernel.data_type == TensorProto.INT8
            assert scales.size == kernel.dims[0]  # a scale for every output channel

    def test_the_runtime_runs_them_in_int8(self, onnx_int8: Path, tmp_path: Path) -> None:
        kinds = optimised_kinds(onnx_int8, tmp_path / "optimised.onnx")
        convolutions = sum(node.op_type == "Conv" for node in onnx.load(onnx_int8).graph.node)
        assert kinds.count("QLinearConv") == convolutions - 1
        assert kinds.count("Conv") == 1

    def test_the_frame_goes_in_without_a_detour(self, onnx_int8: Path) -> None:
        model = onnx.load(onnx_int8)
        kinds = [node.op_type for node in model.graph.node]
        assert "Sub" not in kinds
        assert "Cast" not in kinds
        assert pixels_read_as_one(model) == 4

    def test_it_is_smaller(self, onnx_int8: Path, trained: Any) -> None:
        def weights(path: Path) -> int:
            # of convolutions: in so small a net names and scales weigh as much as they; the first one's has zeros added
            items = [item for item in onnx.load(path).graph.initializer if not item.name.startswith("net.0.")]
            return sum(numpy_helper.to_array(item).nbytes for item in items if len(item.dims) == 4)

        assert weights(onnx_int8) * 3.5 < weights(trained.onnx)


class Attention(nn.Module):
    """Every pixel's mean over all, weighed by likeness: products of computed matrices, and one with weights."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.project = nn.Linear(channels, channels)

    def forward(self, features: Tensor) -> Tensor:
        pixels = self.project(features.flatten(2).transpose(1, 2))
        weights = torch.softmax(pixels @ pixels.transpose(1, 2), dim=2)
        mixed: Tensor = (weights @ pixels).transpose(1, 2).unflatten(2, features.shape[2:])
        return mixed


@pytest.fixture(scope="module")
def mixed_kinds(trained: Any, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The operators that ONNX Runtime runs of an int8 file with pools and attention."""
    torch.manual_seed(0)
    contract = trained.module.contract
    net = nn.Sequential(
        ConvBnRelu(3, 8, 3, 2), nn.AvgPool2d(3, 2, 1), ConvBnRelu(8, 16, 3, 2), Attention(16),
        ConvBnRelu(16, 16, 1), nn.Conv2d(16, len(contract.labels), 1),
    )  # fmt: skip
    module, folder = Deployable(net, contract).eval(), tmp_path_factory.mktemp("slower")
    export_onnx(module, folder / "float.onnx")
    quantize_onnx(folder / "float.onnx", folder / "int8.onnx", module, trained.calibration[:4])
    return optimised_kinds(folder / "int8.onnx", folder / "optimised.onnx")


class TestWhatInt8DoesNotMakeFaster:
    def test_averages_are_convolutions(self, mixed_kinds: list[str]) -> None:
        assert not {"AveragePool", "QLinearAveragePool"} & set(mixed_kinds)
        assert mixed_kinds.count("QLinearConv") == 4 and mixed_kinds.count("Conv") == 1

    def test_what_attention_multiplies_is_not_rounded(self, mixed_kinds: list[str]) -> None:
        assert "Softmax" in mixed_kinds and "QLinearSoftmax" not in mixed_kinds
        assert len([kind for kind in mixed_kinds if kind in ("MatMul", "MatMulIntegerToFloat")]) == 2
        assert len([kind for kind in mixed_kinds if kind in ("QLinearMatMul", "QGemm")]) == 1  # that with weights


class TestOpenVino:
    def test_convolutions_run_in_int8(self, ir_int8: Path) -> None:
        compiled = openvino.Core().compile_model(ir_int8, "CPU")
        nodes = [node.get_rt_info() for node in compiled.get_runtime_model().get_ops()]
        convolutions = [info for info in nodes if "Convolution" in str(info["layerType"].astype(str))]
        assert convolutions
        assert {info["runtimePrecision"].astype(str) for info in convolutions} <= {"u8", "i8"}

    def test_weights_lie_beside_it_in_int8(self, ir_int8: Path) -> None:
        assert {path.name for path in ir_int8.parent.iterdir()} == {"model.xml", "model.bin"}
        model = openvino.Core().read_model(ir_int8)
        constants = [node for node in model.get_ops() if node.get_type_name() == "Constant"]
        kernels = [node for node in constants if len(node.get_output_shape(0)) >= 4 and np.prod(node.shape) > 64]
        assert kernels
        assert {node.get_element_type().get_type_name() for node in kernels} == {"i8"}


@pytest.mark.parametrize("kind", ["onnx_int8", "ir_int8"])
class TestBoth:
    def test_masks_are_nearly_the_originals(self, kind: str, request: pytest.FixtureRequest, trained: Any) -> None:
        assert agreement(trained, request.getfixturevalue(kind)) >= 0.97

    def test_the_file_says_what_it_is(self, kind: str, request: pytest.FixtureRequest, trained: Any) -> None:
        segmenter = Segmenter.load(request.getfixturevalue(kind))
        assert segmenter.precision == "int8"
        assert segmenter.contract == trained.module.contract

    def test_ranges_of_the_wrong_pictures_spoil_the_masks(
        self, kind: str, request: pytest.FixtureRequest, trained: Any, tmp_path: Path
    ) -> None:
        blank = [np.full_like(picture, 128) for picture in trained.calibration]
        if kind == "onnx_int8":
            path = tmp_path / "model.onnx"
            quantize_onnx(trained.onnx, path, trained.module, blank)
        else:
            path = tmp_path / "model.xml"
            quantize_ir(trained.onnx, path, trained.module, blank)
        assert agreement(trained, path) < agreement(trained, request.getfixturevalue(kind)) - 0.01


def test_the_float_file_is_left_alone(trained: Any, onnx_int8: Path, ir_int8: Path) -> None:
    metadata = {item.key: item.value for item in onnx.load(trained.onnx).metadata_props}
    assert metadata[PRECISION_KEY] == "float32"
    assert isinstance(Segmenter.load(trained.onnx).contract, Contract)
    assert [path.name for path in trained.onnx.parent.iterdir()] == ["model.onnx"]


def test_everything_from_the_convolutions_that_make_the_scores_stays_in_float() -> None:
    weight = numpy_helper.from_array(np.ones((2, 2, 1, 1), np.float32), "w")
    nodes = [
        onnx.helper.make_node("Conv", ["x", "w"], ["a"], name="trunk"),
        onnx.helper.make_node("Conv", ["a", "w"], ["b"], name="fine scores"),
        onnx.helper.make_node("Relu", ["a"], ["c"], name="inside"),
        onnx.helper.make_node("Conv", ["c", "w"], ["d"], name="coarse scores"),
        onnx.helper.make_node("Add", ["b", "d"], ["y"], name="sum"),
    ]
    values = [onnx.helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2, 4, 4]) for name in "xy"]
    model = onnx.helper.make_model(onnx.helper.make_graph(nodes, "two heads", values[:1], values[1:], [weight]))
    assert sorted(score_nodes(model)) == ["coarse scores", "fine scores", "sum"]
