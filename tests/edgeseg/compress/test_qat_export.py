"""Every network of the zoo, prepared for int8 training: its files draw the masks it draws itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from edgeseg.compress.quantize import calibrate, prepare_qat
from edgeseg.data.procedural import ProceduralData, ProceduralSpec
from edgeseg.models import build
from edgeseg_export.deployable import Deployable, TorchSegmenter
from edgeseg_export.fake_quantize import QuantConv2d
from edgeseg_export.quantized_onnx import build_quantized
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.preprocess import to_input, to_input_mask
from edgeseg_runtime.segmenter import Segmenter

ZOO = ("fast_scnn", "lraspp_mobilenet_v3_large", "unet")  # every other one: tests/edgeseg/models, slow

DATA = ProceduralData(ProceduralSpec(height=96, width=128, n=48, seed=3), "train")
CONTRACT = Contract(DATA.labels, 96, 128)
STEPS = 20


def trained(name: str) -> Deployable:
    """Train for some steps in float, then one for int8, and return the module.

    So few do not make a good network, but one whose masks have several classes and thin margins between them.
    """
    torch.manual_seed(0)
    net = build(name, len(CONTRACT.labels), CONTRACT.size)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.3
    samples = [DATA.read(index) for index in range(len(DATA))]
    frames = torch.from_numpy(np.stack([to_input(sample.image, CONTRACT) for sample in samples]))
    masks = torch.from_numpy(np.stack([to_input_mask(sample.mask, CONTRACT) for sample in samples])).long()
    images = Deployable(net, CONTRACT).normalise(frames)
    _learn(net, images, masks, STEPS, 3e-3)
    prepared = prepare_qat(net.eval(), CONTRACT)
    calibrate(prepared, torch.split(images[:24], 8))
    _learn(prepared, images, masks, 1, 1e-4)
    return Deployable(prepared, CONTRACT).eval()


def _learn(net: nn.Module, images: torch.Tensor, masks: torch.Tensor, steps: int, rate: float) -> None:
    optimiser = torch.optim.Adam([value for value in net.parameters() if value.requires_grad], rate)
    net.train()
    for step in range(steps):
        batch = torch.arange(8 * step, 8 * step + 8) % len(images)
        scores = F.interpolate(net(images[batch]), size=CONTRACT.size, mode="bilinear")
        optimiser.zero_grad()
        F.cross_entropy(scores, masks[batch], ignore_index=255).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    net.eval()


@pytest.mark.slow
@pytest.mark.parametrize("name", ZOO)
def test_both_engines_draw_the_fake_quantised_masks(name: str, tmp_path: Path) -> None:
    module = trained(name)
    assert sum(isinstance(part, QuantConv2d) for part in module.modules()) > 40
    original = TorchSegmenter(module)
    frames = [DATA.read(index).image for index in range(40, 48)]
    expected = np.stack([original(frame) for frame in frames])
    assert len(np.unique(expected)) > 3
    for artifact in build_quantized(module, tmp_path):
        segmenter = Segmenter.load(artifact.file)
        found = np.stack([segmenter(frame).mask for frame in frames])
        assert np.mean(found == expected) >= 0.999, artifact.name
