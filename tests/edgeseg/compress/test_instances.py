"""The edge network of instances in int8 training and in pruning."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgeseg.compress.channels import channel_plan, resize_channels
from edgeseg.compress.pruning import prune
from edgeseg.compress.quantize import calibrate, prepare_qat
from edgeseg.models.instances.registry import build_instance
from edgeseg_export.fake_quantize import ActivationQuantizer
from edgeseg_export.instances.deployable import InstanceDeployable, TorchInstanceSegmenter
from edgeseg_export.likeness import Objects
from edgeseg_export.quantized_onnx import export_quantized
from edgeseg_runtime.contract import Contract, Label, Selection
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.segmenter import Segmenter

SIZE = (64, 96)
CONTRACT = Contract(
    tuple(Label(name, (1, 2, 3)) for name in "abc"),
    *SIZE,
    task="instance",
    output="prototypes",
    selection=Selection((0.1,) * 3),
)
FRAMES: list[Image] = [
    np.random.default_rng(seed).integers(0, 256, (*SIZE, 3), np.uint8) // 2 + np.uint8(40 * (seed % 3))
    for seed in range(4)
]


@pytest.fixture(scope="module")
def net() -> Any:
    torch.manual_seed(0)
    made: Any = build_instance("yolact_mobilenet_v2", 3, SIZE)
    module = InstanceDeployable(made, CONTRACT)
    with torch.no_grad():
        for _ in range(10):
            module.raw(torch.from_numpy(np.stack(FRAMES)))
    return made.eval()


@pytest.fixture(scope="module")
def quantised(net: Any) -> InstanceDeployable:
    made = InstanceDeployable(prepare_qat(net, CONTRACT), CONTRACT)
    calibrate(made.net, [made.normalise(torch.from_numpy(np.stack(FRAMES)))])
    return made.eval()


def test_all_that_has_weights_is_rounded_and_the_tail_is_not(net: Any, quantised: InstanceDeployable) -> None:
    names = [name for name, part in quantised.named_modules() if isinstance(part, ActivationQuantizer)]
    assert len(names) > 30
    assert all(name.startswith("net.maps.") for name in names)
    boxes, logits, coefficients, prototypes = quantised.raw(torch.from_numpy(np.stack(FRAMES)))
    before = InstanceDeployable(net, CONTRACT).raw(torch.from_numpy(np.stack(FRAMES)))
    for found, expected in zip((boxes, logits, coefficients, prototypes), before, strict=True):
        assert found.shape == expected.shape
        assert 0 < (found - expected).abs().mean() < 0.1 * expected.abs().mean() + 0.5
    assert len(boxes[..., 2].unique()) > 256  # no grid of uint8


def test_the_network_that_was_given_stays(net: Any, quantised: InstanceDeployable) -> None:
    assert not any(isinstance(part, ActivationQuantizer) for part in net.modules())
    assert not quantised.training


def test_the_int8_file_computes_what_was_trained(quantised: InstanceDeployable, tmp_path: Path) -> None:
    export_quantized(quantised, tmp_path / "model.onnx")
    lane, original = Segmenter.load(tmp_path / "model.onnx").lane(), TorchInstanceSegmenter(quantised)
    for frame in FRAMES:
        for found, expected in zip(lane.infer(lane.preprocess(frame)), original.outputs(frame), strict=True):
            np.testing.assert_allclose(found, expected, atol=1e-3)


@pytest.mark.slow
def test_openvinos_file_is_alike(quantised: InstanceDeployable, tmp_path: Path) -> None:
    for name in ("model.onnx", "model.xml"):
        export_quantized(quantised, tmp_path / name)
    alike = Objects()
    files = [alike.results(tmp_path / name, FRAMES) for name in ("model.onnx", "model.xml")]
    assert alike.share(*files) > 0.9


@pytest.mark.parametrize("name", ["yolact_mobilenet_v2", "yolact_shufflenet_v2_x0_5"])
def test_a_pruned_network_is_smaller_and_is_rebuilt_from_its_plan(name: str) -> None:
    net: Any = build_instance(name, 3, SIZE).eval()
    pruned: Any = deepcopy(net)
    report = prune(pruned, SIZE, 0.3)
    assert report.parameters[1] < 0.85 * report.parameters[0]
    image = torch.zeros(1, 3, *SIZE)
    shapes = [tuple(values.shape) for values in pruned(image)]
    assert shapes == [tuple(values.shape) for values in net(image)]
    again: Any = build_instance(name, 3, SIZE).eval()
    resize_channels(again, channel_plan(pruned))
    again.load_state_dict(pruned.state_dict())
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(again(image), pruned(image), strict=True))
