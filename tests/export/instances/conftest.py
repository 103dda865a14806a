"""A small network that has learnt to find discs and rectangles, and its export."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from edgeseg_export.instances.deployable import InstanceDeployable
from edgeseg_export.instances.parity.compare import InstanceReference
from edgeseg_export.instances.parity.objects import InstancePicture
from edgeseg_export.instances.parity.paths import original_path
from edgeseg_export.onnx_file import export_onnx
from edgeseg_export.parity.comparison import Sampling
from edgeseg_runtime.contract import Contract, Label, Selection
from edgeseg_runtime.preprocess import Image, to_input
from tests.export.instances.scenes import SIZE, SmallPrototypeNet, loss_of, scene

LABELS = (Label("disc", (220, 60, 60)), Label("box", (60, 90, 220)))
STEPS, BATCH = 240, 8


@dataclass(frozen=True)
class TrainedInstances:
    """A network, the float file exported from it, and pictures to calibrate and to compare on."""

    module: InstanceDeployable
    onnx: Path
    calibration: list[Image]
    pictures: list[InstancePicture]
    reference: InstanceReference


def train(contract: Contract) -> InstanceDeployable:
    """Learn for some seconds; the same network every time."""
    pictures = [scene(seed) for seed in range(120)]
    frames = torch.from_numpy(np.stack([to_input(picture.image, contract) for picture in pictures]))
    torch.manual_seed(0)
    module = InstanceDeployable(SmallPrototypeNet(len(contract.labels)), contract).train()
    optimiser = torch.optim.AdamW(module.parameters(), lr=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.01, total_steps=STEPS)
    for _ in range(STEPS):
        batch = torch.randint(len(frames), (BATCH,))
        optimiser.zero_grad()
        loss = loss_of(module.raw(frames[batch]), [pictures[index] for index in batch.tolist()])
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    return module.eval()


@pytest.fixture(scope="session")
def things(tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> TrainedInstances:
    """Train, export to float32 ONNX, and find the original's objects."""
    contract = Contract(LABELS, *SIZE, task="instance", output="prototypes", selection=Selection((0.4, 0.4)))
    module = train(contract)
    path = tmp_path_factory.mktemp("instances") / "model.onnx"
    export_onnx(module, path)
    pictures = [scene(seed) for seed in range(1000, 1030)]
    reference = InstanceReference.of(original_path(module), pictures, contract, Sampling(resamples=100))
    return TrainedInstances(module, path, [scene(seed).image for seed in range(64)], pictures, reference)
