from __future__ import annotations

import pytest
import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

from edgeseg.models.instances.registry import build_instance
from edgeseg.training.instances.learner import InstanceLearner, Sealed
from edgeseg.training.instances.losses import prototype_losses
from edgeseg_runtime.contract import IMAGENET_MEAN, IMAGENET_STD, Contract, Label, Selection

LABELS = (Label("a", (0, 0, 0)), Label("b", (9, 9, 9)))
SELECTION = Selection((0.5, 0.5))


def batch() -> tuple[Tensor, list[dict[str, Tensor]]]:
    generator = torch.Generator().manual_seed(0)
    frames = torch.randint(256, (2, 64, 64, 3), generator=generator, dtype=torch.uint8)
    masks = torch.zeros(2, 64, 64, dtype=torch.uint8)
    masks[0, 4:30, 6:40] = masks[1, 30:60, 20:60] = 1
    boxes = torch.tensor([[6, 4, 40, 30], [20, 30, 60, 60]], dtype=torch.float32)
    full = {"boxes": boxes, "labels": torch.tensor([0, 1]), "masks": masks, "crowd": torch.tensor([False, False])}
    return frames, [full, {name: value[:0] for name, value in full.items()}]


@pytest.fixture
def learner() -> InstanceLearner:
    torch.manual_seed(0)
    contract = Contract(LABELS, 64, 64, task="instance", output="prototypes", selection=SELECTION)
    return InstanceLearner(build_instance("yolact_shufflenet_v2_x0_5", 2, (64, 64)), contract)


def test_its_losses_are_those_of_what_the_network_gives(learner: InstanceLearner) -> None:
    frames, targets = batch()
    losses = learner(frames, Sealed(targets))
    expected = prototype_losses(learner.net(learner.normalise(frames)), targets, (64, 64))
    assert losses.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(losses[name], value)


def test_bf16_is_for_the_network_and_not_for_the_losses(learner: InstanceLearner) -> None:
    frames, targets = batch()
    seen: list[torch.dtype] = []
    learner.net.register_forward_hook(lambda _, __, output: seen.append(output.logits.dtype))
    with torch.autocast("cpu", torch.bfloat16):
        losses = learner(frames, Sealed(targets))
    assert seen == [torch.bfloat16]
    assert all(value.dtype == torch.float32 and value.isfinite() for value in losses.values())


def test_fabric_leaves_boxes_as_they_are() -> None:
    """In bf16 there is nothing between 300 and 302."""

    class Looker(nn.Module):
        def forward(self, frames: Tensor, sealed: Sealed) -> Tensor:
            return sealed.targets[0]["boxes"] * self.one + frames.sum()

        def __init__(self) -> None:
            super().__init__()
            self.one = nn.Parameter(torch.ones(()))

    boxes = torch.tensor([[1.0, 2.0, 301.0, 333.0]])
    fabric = Fabric(accelerator="cpu", devices=1, precision="bf16-mixed")
    seen = fabric.setup(Looker())(torch.zeros(1, dtype=torch.uint8), Sealed([{"boxes": boxes}]))
    assert torch.equal(seen.detach(), boxes)


def test_every_parameter_learns_even_where_there_is_nothing(learner: InstanceLearner) -> None:
    """Processes that share their gradients wait for each parameter's."""
    frames, (_, nothing) = batch()
    sum(learner(frames, Sealed([nothing, nothing])).values()).backward()
    assert all(value.grad is not None for value in learner.parameters())


def test_a_network_of_detections_makes_its_losses_itself() -> None:
    class Detector(nn.Module):
        def losses(self, images: Tensor, targets: list[dict[str, Tensor]]) -> dict[str, Tensor]:
            return {"brightness": images.mean(), "objects": torch.tensor(float(len(targets[0]["labels"])))}

    contract = Contract(
        LABELS, 64, 64, task="instance", output="detections", selection=SELECTION, mean=IMAGENET_MEAN, std=IMAGENET_STD
    )
    learner = InstanceLearner(Detector(), contract)
    frames, targets = batch()
    losses = learner(frames, Sealed(targets))
    expected = (frames.float() / 255 - torch.tensor(IMAGENET_MEAN)) / torch.tensor(IMAGENET_STD)
    torch.testing.assert_close(losses["brightness"], expected.mean(), rtol=1e-4, atol=1e-5)
    assert losses["objects"] == 2
