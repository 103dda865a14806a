"""Hard sigmoids as saturating sums: the same numbers, in operators that ONNX Runtime has in int8."""

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

from edgeseg.models.blocks import ConvBnRelu
from edgeseg_export.deployable import Deployable
from edgeseg_export.onnx_file import export_onnx
from edgeseg_export.quantize_ort import quantize_onnx
from edgeseg_export.quantized_gates import flat_below, saturate_hard_sigmoids
from edgeseg_runtime.preprocess import to_input
from tests.export.onnx_graphs import VALUES, Part, kinds, model_of, optimised_kinds, rounding, run

LEVELS = np.resize(np.arange(256, dtype=np.float32), VALUES.shape)


def gate(source: str, name: str, slope: float = 1 / 6, middle: float = 0.5) -> Part:
    return [helper.make_node("HardSigmoid", [source], [name], alpha=slope, beta=middle)], {}


def product(one: str, other: str, name: str) -> Part:
    return [helper.make_node("Mul", [one, other], [name])], {}


class TestSaturateHardSigmoids:
    @pytest.mark.parametrize(("slope", "middle"), [(1 / 6, 0.5), (0.2, 0.5), (0.25, 0.3), (1.0, 0.0)])
    @pytest.mark.parametrize(("step", "zero_point"), [(0.05, 100), (0.011, 0), (0.3, 255)])
    def test_every_level_of_the_input_gives_what_it_gave(
        self, slope: float, middle: float, step: float, zero_point: int
    ) -> None:
        parts = [
            rounding("x", "r", step, zero_point),
            gate("r", "g", slope, middle),
            rounding("g", "y", 1 / 255, 0),
        ]
        model = model_of(parts, "y")
        values = (LEVELS - zero_point) * np.float32(step)
        assert saturate_hard_sigmoids(model) == 1
        assert "HardSigmoid" not in kinds(model) and kinds(model).count("Add") == 1
        onnx.checker.check_model(model, full_check=True)
        exact = 255 * np.clip(slope * values.astype(np.float64) + middle, 0, 1)
        found = 255 * run(model, values)
        np.testing.assert_array_less(abs(found - exact), 0.5 + 1e-3)  # rounded to the nearest level

    @pytest.mark.parametrize("case", ["wider grid", "shifted grid", "float input", "float reader", "output"])
    def test_what_the_grid_does_not_cut_off_is_left_alone(self, case: str) -> None:
        scale, zero_point = {"wider grid": (1.5 / 255, 0), "shifted grid": (1 / 255, 1)}.get(case, (1 / 255, 0))
        parts = [rounding("x", "r", 0.05, 100), gate("x" if case == "float input" else "r", "g")]
        parts.append(rounding("g", "y", scale, zero_point))
        if case == "float reader":
            parts.append(product("g", "y", "z"))
        model = model_of(
            parts[:-1] if case == "output" else parts, *{"float reader": "z", "output": "g"}.get(case, "y")
        )
        before, nodes = run(model), kinds(model)
        assert saturate_hard_sigmoids(model) == 0
        assert kinds(model) == nodes
        np.testing.assert_array_equal(run(model), before)


class TestFlatBelow:
    def swish(self, *more: Part, outputs: tuple[str, ...] = ("y",)) -> ModelProto:
        double: Part = ([helper.make_node("Add", ["x", "x"], ["s"])], {})
        return model_of([double, gate("s", "g"), product("s", "g", "y"), *more], *outputs)

    def test_a_hard_swish_is_zero_below_minus_three(self) -> None:
        ((name, low),) = flat_below(self.swish()).items()
        assert name == "s" and low == pytest.approx(-3)
        below = np.linspace(-9, low - 1e-6, 50)
        assert not np.any(below * np.clip(below / 6 + 0.5, 0, 1))

    def test_a_bare_gate_has_its_own(self) -> None:
        double: Part = ([helper.make_node("Add", ["x", "x"], ["s"])], {})
        assert flat_below(model_of([double, gate("s", "y", 0.2, 0.4)], "y")) == {"s": pytest.approx(-2)}

    def test_another_reader_sees_more(self) -> None:
        relu: Part = ([helper.make_node("Relu", ["s"], ["z"])], {})
        assert flat_below(self.swish(relu, outputs=("y", "z"))) == {}
        assert flat_below(self.swish(product("s", "x", "z"), outputs=("y", "z"))) == {}
        assert flat_below(self.swish(outputs=("y", "s"))) == {}


class ChannelAttention(nn.Module):
    """Squeeze and excitation behind a hard-swish, as MobileNetV3 has it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = nn.AdaptiveAvgPool2d(1)
        self.weigh = nn.Sequential(nn.Conv2d(channels, 8, 1), nn.ReLU(), nn.Conv2d(8, channels, 1), nn.Hardsigmoid())

    def forward(self, features: Tensor) -> Tensor:
        weights: Tensor = self.weigh(self.squeeze(features))
        return features * weights


@pytest.fixture(scope="module")
def module(trained: Any) -> Deployable:
    torch.manual_seed(0)
    contract = trained.module.contract
    net = nn.Sequential(
        nn.Conv2d(3, 24, 3, 2, 1), nn.BatchNorm2d(24), nn.Hardswish(), ChannelAttention(24), ConvBnRelu(24, 24, 3),
        nn.Conv2d(24, 24, 1), nn.Hardswish(), nn.Conv2d(24, len(contract.labels), 1),
    )  # fmt: skip
    return Deployable(net, contract).eval()


@pytest.fixture(scope="module")
def int8(module: Deployable, trained: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gates")
    export_onnx(module, folder / "float.onnx")
    quantize_onnx(folder / "float.onnx", folder / "int8.onnx", module, trained.calibration)
    return folder / "int8.onnx"


def test_channel_attention_runs_in_int8(int8: Path, tmp_path: Path) -> None:
    found = optimised_kinds(int8, tmp_path / "optimised.onnx")
    assert {"QLinearGlobalAveragePool", "QLinearMul", "QLinearAdd"} <= set(found)
    assert not {"HardSigmoid", "HardSwish", "Mul", "ReduceMean", "GlobalAveragePool", "Gather"} & set(found)
    assert found.count("Conv") == 1  # that which makes the scores


def test_scores_are_nearly_the_float_ones(module: Deployable, int8: Path, trained: Any) -> None:
    session = onnxruntime.InferenceSession(int8, providers=["CPUExecutionProvider"])
    frames = np.stack([to_input(picture, module.contract) for picture in trained.calibration[:4]])
    with torch.no_grad():
        wanted = np.stack([module.scores(torch.from_numpy(frame[None]))[0].numpy() for frame in frames])
    found = np.stack([session.run(None, {"frames": frame[None]})[0][0] for frame in frames])
    assert np.abs(found - wanted).mean() < 0.03 * wanted.std()
