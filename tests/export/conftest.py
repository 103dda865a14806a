"""A small network that has learnt the built-in scenes well enough to have masks worth comparing, and its export."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from edgeseg.data.procedural import ProceduralData, ProceduralSpec
from edgeseg.models.blocks import ConvBnRelu, DepthwiseSeparable
from edgeseg_export.deployable import Deployable, TorchSegmenter
from edgeseg_export.onnx_file import export_onnx
from edgeseg_export.parity.compare import Reference
from edgeseg_export.parity.comparison import Settings
from edgeseg_export.parity.pictures import Picture
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.preprocess import Image, to_input, to_input_mask
from tests.torch_threads import one_torch_thread

SPEC = ProceduralSpec(height=96, width=128, n=160, seed=7)
SIZE = (72, 96)
STEPS, BATCH = 150, 16


@dataclass(frozen=True)
class Trained:
    """A network, the float file exported from it, and pictures to calibrate and to compare on."""

    module: Deployable
    onnx: Path
    calibration: list[Image]
    reference: Reference


def small_net(classes: int) -> nn.Module:
    """Scores at a quarter of the input: strided, depthwise and plain convolutions, each pair with a ReLU between."""
    return nn.Sequential(
        ConvBnRelu(3, 24, 3, 2),
        DepthwiseSeparable(24, 48, 2),
        ConvBnRelu(48, 48, 3),
        DepthwiseSeparable(48, 64),
        DepthwiseSeparable(64, 64),
        nn.Conv2d(64, classes, 1),
    )


def train(contract: Contract, data: ProceduralData) -> Deployable:
    """Learn for some seconds; the same network every time."""
    samples = [data.read(index) for index in range(len(data))]
    frames = torch.from_numpy(np.stack([to_input(sample.image, contract) for sample in samples]))
    masks = torch.from_numpy(np.stack([to_input_mask(sample.mask, contract) for sample in samples])).long()
    torch.manual_seed(0)
    module = Deployable(small_net(len(contract.labels)), contract).train()
    optimiser = torch.optim.AdamW(module.parameters(), lr=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.01, total_steps=STEPS)
    for _ in range(STEPS):
        batch = torch.randint(len(frames), (BATCH,))
        scores = F.interpolate(module.scores(frames[batch]), size=contract.size, mode="bilinear")
        optimiser.zero_grad()
        loss = F.cross_entropy(scores, masks[batch], ignore_index=contract.ignore_index)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    return module.eval()


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """See `one_torch_thread`."""
    with one_torch_thread():
        yield


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> Trained:
    """Train, export to float32 ONNX, and draw the original's masks."""
    data = ProceduralData(SPEC, "train")
    contract = Contract(data.labels, *SIZE)
    module = train(contract, data)
    path = tmp_path_factory.mktemp("parity") / "model.onnx"
    export_onnx(module, path)
    val = ProceduralData(SPEC, "val")
    samples = [(val.name(index), val.read(index)) for index in range(len(val))]
    pictures = [Picture(name, sample.image, sample.mask) for name, sample in samples]
    calibration = [data.read(index).image for index in range(64)]
    reference = Reference.of(TorchSegmenter(module), pictures, contract, Settings(resamples=200))
    return Trained(module, path, calibration, reference)
