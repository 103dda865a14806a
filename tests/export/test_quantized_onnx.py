"""Networks trained for int8, exported: the same masks as in PyTorch, out of int8 kernels, in both engines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
import torch
import torch.nn.functional as F
from onnx import TensorProto
from torch import Tensor, nn

from edgeseg.compress.quantize import calibrate, prepare_qat
from edgeseg.models.blocks import ConvBnRelu, DepthwiseSeparable, pool_to, resize_like
from edgeseg.models.pp_liteseg import channel_statistics
from edgeseg_export.deployable import Deployable, TorchSegmenter
from edgeseg_export.fake_quantize import QuantConv2d
from edgeseg_export.onnx_file import DynamicAxes, export_onnx
from edgeseg_export.quantized_onnx import build_quantized, export_quantized
from edgeseg_export.quantized_ops import freeze, is_quantized
from edgeseg_runtime.contract import IMAGENET_MEAN, IMAGENET_STD, Contract
from edgeseg_runtime.engines.base import as_batch
from edgeseg_runtime.engines.load_openvino import load_openvino
from edgeseg_runtime.preprocess import Image, to_input
from edgeseg_runtime.segmenter import Segmenter
from tests.export.onnx_graphs import optimised_kinds, pixels_read_as_one

FILES = ("onnx-int8/model.onnx", "openvino-int8/model.xml")


class Residual(nn.Module):
    """Sums of convolutions and of their inputs, with and without a ReLU behind them."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.stem = ConvBnRelu(3, 16, 3, 2)
        self.first = nn.Sequential(ConvBnRelu(16, 32, 1), nn.Conv2d(32, 16, 3, padding=1))
        self.second = nn.Sequential(ConvBnRelu(16, 32, 3), nn.Conv2d(32, 16, 1))
        self.third = nn.Conv2d(16, 16, 1)
        self.head = nn.Conv2d(16, classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        features = self.stem(image)
        features = features + self.first(features)
        features = F.relu(self.second(features) + self.third(features))
        return self.head(features)  # type: ignore[no-any-return]


class Mixture(nn.Module):
    """Max-pooling, averages over windows, resizing by an odd factor, concatenation."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.stem, self.deep = ConvBnRelu(3, 16, 3, 2), ConvBnRelu(16, 24, 3)
        self.shrink, self.squeeze = nn.MaxPool2d(3, 3), ConvBnRelu(24, 8, 1)
        self.blend = ConvBnRelu(16 + 24 + 8, 32, 3)
        self.head = nn.Conv2d(32, classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        fine = self.stem(image)
        deep = self.deep(self.shrink(fine))
        context = resize_like(self.squeeze(pool_to(deep, 3)), fine)
        blend = self.blend(torch.cat([fine, resize_like(deep, fine), context], dim=1))
        return self.head(blend)  # type: ignore[no-any-return]


class SqueezeExcite(nn.Module):
    """Hard-swish, a gate from a global average, ReLU6, two convolutions that make the scores."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.Hardswish())
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(16, 8, 1), nn.ReLU(), nn.Conv2d(8, 16, 1), nn.Hardsigmoid()
        )
        self.body = nn.Sequential(nn.Conv2d(16, 24, 3, padding=1), nn.ReLU6(), nn.Conv2d(24, 24, 1), nn.Hardswish())
        self.low, self.high = nn.Conv2d(16, classes, 1), nn.Conv2d(24, classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        stem = self.stem(image)
        gated = stem * self.gate(stem)
        return self.low(gated) + self.high(self.body(gated))  # type: ignore[no-any-return]


class Attention(nn.Module):
    """An average with a stride, and a gate made of what is smallest and largest in joined channels, also averaged."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.stem = ConvBnRelu(3, 16, 3, 2)
        self.shrink, self.deep = nn.AvgPool2d(3, 2, 1), ConvBnRelu(16, 16, 3, 2)
        self.squeeze, self.project, self.weigh = ConvBnRelu(32, 24, 1), ConvBnRelu(32, 24, 3), nn.Conv2d(4, 24, 3, 1, 1)
        self.head = nn.Conv2d(24, classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        stem = self.stem(image)
        joined = torch.cat([self.shrink(stem), self.deep(stem)], dim=1)
        fine = self.project(joined)
        context = resize_like(self.squeeze(pool_to(joined, 5)), fine)
        gate = self.weigh(torch.cat([*channel_statistics(fine), *channel_statistics(context)], dim=1))
        return self.head(fine * torch.sigmoid(gate) + context)  # type: ignore[no-any-return]


def plain(classes: int) -> nn.Module:
    blocks = [ConvBnRelu(3, 24, 3, 2), DepthwiseSeparable(24, 48, 2), DepthwiseSeparable(48, 48)]
    return nn.Sequential(*blocks, nn.Conv2d(48, classes, 1))


NETS: Mapping[str, Callable[[int], nn.Module]] = {
    "plain": plain,
    "residual": Residual,
    "mixture": Mixture,
    "squeeze-excite": SqueezeExcite,
    "attention": Attention,
}
FLOAT = {"squeeze-excite": 2}
"""Convolutions that make scores, where there are more than one."""
AVERAGES = {"attention": 1}
"""Averages of windows, which ONNX Runtime's file has as convolutions."""


def made(name: str, classes: int) -> nn.Module:
    """Return a network with normalisations that do something, the same every time."""
    torch.manual_seed(0)
    net = NETS[name](classes)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.bias, std=0.2)
            nn.init.uniform_(module.weight, 1, 3)
    return net


def prepared(net: nn.Module, contract: Contract, pictures: list[Image]) -> Deployable:
    """Return the network as it is before int8 training, its ranges measured."""
    module = Deployable(prepare_qat(net.eval(), contract), contract).eval()
    frames = torch.from_numpy(np.stack([to_input(picture, contract) for picture in pictures]))
    calibrate(module.net, torch.split(module.normalise(frames), 8))
    return module


@dataclass(frozen=True)
class Case:
    """A module and its files."""

    name: str
    module: Deployable
    folder: Path

    @property
    def convolutions(self) -> int:
        """How many are to run in int8."""
        return sum(isinstance(part, QuantConv2d) for part in self.module.modules())


@pytest.fixture(scope="module", params=NETS)
def case(request: pytest.FixtureRequest, trained: Any, tmp_path_factory: pytest.TempPathFactory) -> Case:
    contract: Contract = trained.module.contract
    module = prepared(made(request.param, len(contract.labels)), contract, trained.calibration[:16])
    folder = tmp_path_factory.mktemp("quantised")
    artifacts = list(build_quantized(module, folder))
    assert [artifact.name for artifact in artifacts] == ["onnx-int8", "openvino-int8"]
    assert [artifact.file for artifact in artifacts] == [folder / file for file in FILES]
    assert {artifact.precision for artifact in artifacts} == {"int8"}
    return Case(request.param, module, folder)


def frames_of(trained: Any, count: int = 6) -> list[Image]:
    return [trained.reference.pictures[index].image for index in range(count)]


def scores(segmenter: Segmenter, frame: Image) -> npt.NDArray[np.float32]:
    (raw,) = segmenter.engine.request()(as_batch(to_input(frame, segmenter.contract)))
    return np.array(raw[0], np.float32)


@pytest.mark.parametrize("file", FILES)
class TestAgreement:
    def test_scores_are_the_fake_quantised_ones(self, case: Case, file: str, trained: Any) -> None:
        original, segmenter = TorchSegmenter(case.module), Segmenter.load(case.folder / file)
        for frame in frames_of(trained):
            expected = original.scores(frame)
            difference = np.abs(scores(segmenter, frame) - expected)
            # not a single rounding differs, so only the float convolutions at the end do, in their last bits
            assert float(difference.max()) <= 1e-5 * float(np.abs(expected).max() + 1)

    def test_masks_are_the_fake_quantised_ones(self, case: Case, file: str, trained: Any) -> None:
        original, segmenter = TorchSegmenter(case.module), Segmenter.load(case.folder / file)
        for frame in frames_of(trained):
            assert np.mean(original(frame) == segmenter(frame).mask) >= 0.999

    def test_it_is_another_mask_than_the_float_networks(self, case: Case, file: str, trained: Any) -> None:
        """Lest the files above be compared with something that was not quantised at all."""
        frame = frames_of(trained, 1)[0]
        net = made(case.name, len(case.module.contract.labels))
        exact = TorchSegmenter(Deployable(net.eval(), case.module.contract)).scores(frame)
        assert np.abs(scores(Segmenter.load(case.folder / file), frame) - exact).max() > 1e-4

    def test_the_contract_is_inside(self, case: Case, file: str) -> None:
        segmenter = Segmenter.load(case.folder / file)
        assert segmenter.contract == case.module.contract
        assert segmenter.precision == "int8"


class TestOnnx:
    def test_weights_are_int8_and_biases_int32(self, case: Case) -> None:
        model = onnx.load(case.folder / FILES[0])
        producers = {name: node for node in model.graph.node for name in node.output}
        constants = {item.name: item for item in model.graph.initializer}
        convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
        int8 = [node for node in convolutions if node.input[1] in producers and len(node.input) == 3]
        assert len(int8) == case.convolutions
        assert len(convolutions) - len(int8) == FLOAT.get(case.name, 1) + AVERAGES.get(case.name, 0)
        for node in int8:
            weight, bias = (producers[name] for name in node.input[1:])
            assert constants[weight.input[0]].data_type == TensorProto.INT8
            assert list(constants[weight.input[1]].dims) == list(constants[weight.input[0]].dims[:1])
            assert constants[bias.input[0]].data_type == TensorProto.INT32

    def test_onnx_runtime_runs_int8_kernels(self, case: Case, tmp_path: Path) -> None:
        kinds = Counter(optimised_kinds(case.folder / FILES[0], tmp_path / "optimised.onnx"))
        assert kinds["QLinearConv"] == case.convolutions + AVERAGES.get(case.name, 0)
        assert kinds["Conv"] == FLOAT.get(case.name, 1)
        wanted = {
            "plain": {},
            "residual": {"QLinearAdd": 2},
            "mixture": {"QLinearConcat": 1, "NhwcMaxPool": 1},
            "squeeze-excite": {"QLinearMul": 1, "QLinearGlobalAveragePool": 1},
            "attention": {"QLinearMul": 1, "QLinearConcat": 2, "QLinearAveragePool": 0},
        }[case.name]
        assert {kind: kinds[kind] for kind in wanted} == wanted
        assert not {"Relu", "Clip", "Concat", "GlobalAveragePool"} & set(kinds)

    def test_the_frame_goes_in_as_it_is(self, case: Case) -> None:
        model = onnx.load(case.folder / FILES[0])
        kinds = [node.op_type for node in model.graph.node]
        assert "Cast" not in kinds and "Sub" not in kinds
        assert model.graph.input[0].type.tensor_type.elem_type == TensorProto.UINT8
        assert pixels_read_as_one(model) == 4


class TestOpenVino:
    def test_it_runs_int8_kernels(self, case: Case) -> None:
        core = load_openvino().Core()
        compiled = core.compile_model(case.folder / FILES[1], "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        nodes = [node.get_rt_info() for node in compiled.get_runtime_model().get_ops()]
        kernels = Counter(
            info["runtimePrecision"].astype(str) for info in nodes if info["layerType"].astype(str) == "Convolution"
        )
        assert kernels == {"u8": case.convolutions, "f32": FLOAT.get(case.name, 1)}

    def test_its_weights_are_int8(self, case: Case) -> None:
        model = load_openvino().Core().read_model(case.folder / FILES[1])
        constants = [node for node in model.get_ops() if node.get_type_name() == "Constant"]
        kernels = Counter(
            node.get_element_type().get_type_name()
            for node in constants
            if len(node.get_output_shape(0)) >= 4 and np.prod(node.get_output_shape(0)) > 64
        )
        assert kernels["i8"] == case.convolutions
        assert kernels["f32"] == FLOAT.get(case.name, 1)


@pytest.mark.parametrize("file", FILES)
def test_training_changes_nothing_about_it(file: str, trained: Any, tmp_path: Path) -> None:
    """A network that was trained in float, then for int8, agrees on masks that are worth comparing."""
    module = prepared(trained.module.net, trained.module.contract, trained.calibration)
    optimiser = torch.optim.Adam([value for value in module.parameters() if value.requires_grad], 1e-3)
    frames = torch.from_numpy(np.stack([to_input(picture, module.contract) for picture in trained.calibration[:16]]))
    with torch.no_grad():
        target = trained.module.scores(frames).argmax(dim=1)
    module.train()
    for _ in range(4):
        optimiser.zero_grad()
        F.cross_entropy(module.scores(frames), target).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    module.eval()
    export_quantized(module, tmp_path / file)
    original, segmenter = TorchSegmenter(module), Segmenter.load(tmp_path / file)
    pairs = [(original(frame), segmenter(frame).mask) for frame in frames_of(trained, 16)]
    assert np.mean([one == other for one, other in pairs]) >= 0.999
    assert len(np.unique(np.stack([mask for _, mask in pairs]))) > 3


@pytest.mark.parametrize("file", FILES)
def test_a_mask_in_the_graph_and_open_sizes(file: str, trained: Any, tmp_path: Path) -> None:
    contract = replace(trained.module.contract, output="mask")
    module = prepared(trained.module.net, contract, trained.calibration[:16])
    export_quantized(module, tmp_path / file, DynamicAxes(batch=True, size=True))
    original, segmenter = TorchSegmenter(module), Segmenter.load(tmp_path / file)
    for frame in frames_of(trained, 4):
        # the resize in the graph and the runtime's may see a tie differently
        assert np.mean(original(frame) == segmenter(frame).mask) >= 0.999


@pytest.mark.parametrize("file", FILES)
def test_a_normalisation_that_is_no_whole_number_of_pixels(file: str, trained: Any, tmp_path: Path) -> None:
    contract = replace(trained.module.contract, mean=IMAGENET_MEAN, std=IMAGENET_STD)
    module = prepared(trained.module.net, contract, trained.calibration[:16])
    export_quantized(module, tmp_path / file)
    original, segmenter = TorchSegmenter(module), Segmenter.load(tmp_path / file)
    assert np.mean([original(frame) == segmenter(frame).mask for frame in frames_of(trained)]) >= 0.999


def test_frozen_networks_compute_the_same(case: Case, trained: Any) -> None:
    frozen, frame = freeze(case.module), frames_of(trained, 1)[0]
    expected = TorchSegmenter(case.module).scores(frame)
    # in float its sums are rounded, and now and then a value with them
    assert np.mean(np.isclose(TorchSegmenter(frozen).scores(frame), expected, rtol=1e-4, atol=1e-5)) > 0.97
    assert is_quantized(case.module) and not is_quantized(frozen)


def test_what_was_not_prepared_is_not_quantised(trained: Any, tmp_path: Path) -> None:
    assert not is_quantized(trained.module)
    export_quantized(trained.module, tmp_path / "model.onnx")
    export_onnx(trained.module, tmp_path / "float.onnx")
    kinds = [{node.op_type for node in onnx.load(tmp_path / name).graph.node} for name in ("model.onnx", "float.onnx")]
    assert "QuantizeLinear" not in kinds[0] | kinds[1]
