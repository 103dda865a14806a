from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgeseg_export.deployable import Deployable
from edgeseg_export.instances.deployable import InstanceDeployable, TorchInstanceSegmenter
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.errors import ContractError, FrameError
from edgeseg_runtime.instances.decode import InstanceDecoder
from tests.export.instances.conftest import TrainedInstances
from tests.instance_model import instance_contract


class Fixed(nn.Module):
    """Gives the same tensors whatever it sees, and keeps what it saw."""

    def __init__(self, *outputs: Tensor) -> None:
        super().__init__()
        self.outputs, self.seen = outputs, torch.zeros(0)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        self.seen = images
        return self.outputs


def prototypes(count: int = 2) -> Fixed:
    boxes = torch.tensor([[4.0, 8.0, 20.0, 24.0], [30.0, 4.0, 60.0, 40.0]]).expand(count, 2, 4)
    logits = torch.tensor([[3.0, -3.0, -3.0], [-3.0, -3.0, 0.0]]).expand(count, 2, 3)
    return Fixed(boxes, logits, torch.ones(count, 2, 1), torch.ones(count, 1, 12, 16))


def detections() -> Fixed:
    boxes = torch.tensor([[4.0, 8.0, 20.0, 24.0], [30.0, 4.0, 60.0, 40.0]])
    return Fixed(boxes, torch.tensor([0, 2]), torch.tensor([0.9, 0.5]), torch.ones(2, 7, 7))


def test_frames_are_normalised_as_those_of_semantic_models_are() -> None:
    contract = instance_contract(mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7))
    net = prototypes()
    frames = torch.randint(0, 256, (2, 48, 64, 3), dtype=torch.uint8)
    InstanceDeployable(net, contract)(frames)
    semantic = Contract(contract.labels, 48, 64, mean=contract.mean, std=contract.std)
    assert torch.equal(net.seen, Deployable(nn.Identity(), semantic).normalise(frames))


def test_logits_become_scores_and_nothing_else_changes() -> None:
    net = prototypes()
    module = InstanceDeployable(net, instance_contract())
    frames = torch.zeros((2, 48, 64, 3), dtype=torch.uint8)
    boxes, scores, coefficients, maps = module(frames)
    assert scores.tolist() == net.outputs[1].sigmoid().tolist()
    for found, given in zip((boxes, coefficients, maps), (net.outputs[0], *net.outputs[2:]), strict=True):
        assert found is given
    assert module.raw(frames)[1] is net.outputs[1]


@pytest.mark.parametrize(("output", "net"), [("prototypes", prototypes(1)), ("detections", detections())])
def test_the_original_finds_what_its_network_gives(output: str, net: Fixed) -> None:
    contract = instance_contract(output)
    segmenter = TorchInstanceSegmenter(InstanceDeployable(net, contract))
    found = segmenter(np.zeros((96, 128, 3), np.uint8))  # twice the input's size
    assert (found.height, found.width) == (96, 128)
    assert found.labels.tolist() == [0, 2]
    assert found.scores.tolist() == pytest.approx([1 / (1 + np.exp(-3)) if output == "prototypes" else 0.9, 0.5])
    assert found.boxes.tolist() == [[8, 16, 40, 48], [60, 8, 120, 80]]
    assert [region.area for region in found.regions] == [32 * 32, 60 * 72]


def test_thresholds_can_be_others_than_the_contracts() -> None:
    module = InstanceDeployable(detections(), instance_contract("detections"))
    frame = np.zeros((48, 64, 3), np.uint8)
    assert TorchInstanceSegmenter(module, thresholds=(0.95, 0.0, 0.4))(frame).labels.tolist() == [2]
    with pytest.raises(ContractError, match="3 classes need as many score thresholds"):
        TorchInstanceSegmenter(module, thresholds=(0.5,))


def test_half_precision_reaches_the_decoder_as_float32() -> None:
    module = InstanceDeployable(
        Fixed(*(each.to(torch.bfloat16) for each in prototypes(1).outputs)), instance_contract()
    )
    found: Any = TorchInstanceSegmenter(module).outputs(np.zeros((48, 64, 3), np.uint8))
    assert {values.dtype for values in found} == {np.dtype(np.float32)}


def test_frames_that_are_none_are_refused(things: TrainedInstances) -> None:
    with pytest.raises(FrameError):
        TorchInstanceSegmenter(things.module)(np.zeros((4, 4), np.uint8))


def test_it_is_the_runtimes_decoding(things: TrainedInstances) -> None:
    """On frames of other sizes, letterboxed too."""
    for resize in ("stretch", "letterbox"):
        contract = replace(things.module.contract, resize=resize)
        segmenter = TorchInstanceSegmenter(InstanceDeployable(things.module.net, contract))
        frame = np.ascontiguousarray(np.pad(things.pictures[0].image, ((0, 30), (0, 0), (0, 0))))
        found = segmenter(frame)
        expected = InstanceDecoder(contract)(segmenter.outputs(frame), *frame.shape[:2])
        assert len(found) == len(expected) > 0
        assert np.array_equal(found.boxes, expected.boxes)
