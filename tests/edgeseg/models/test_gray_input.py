"""Weights for ImageNet's normalisation made to take grey: the same features inside the picture."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from edgeseg.models.gray_input import readers_of_the_picture, take_gray_input
from edgeseg.training.networks import build_network
from edgeseg_runtime.contract import GRAY_MEAN, GRAY_STD, IMAGENET_MEAN, IMAGENET_STD

SIZE = (128, 160)
NAMES = (
    "unet", "unet_shufflenet_v2_x0_5", "unet_resnet18", "lraspp_mobilenet_v3_large", "segnet", "deeplabv3_resnet50",
    "deeplabv3plus_mobilenet_v2", "yolact_mobilenet_v2", "maskrcnn_mobilenet_v2_fpn",
)  # fmt: skip
Normalisation = tuple[tuple[float, ...], tuple[float, ...]]
IMAGENET, GRAY = (IMAGENET_MEAN, IMAGENET_STD), (GRAY_MEAN, GRAY_STD)


def normalised(pixels: Tensor, normalisation: Normalisation) -> Tensor:
    mean, std = (torch.tensor(values, dtype=pixels.dtype).reshape(1, 3, 1, 1) for values in normalisation)
    return (pixels - mean) / std


def unsettled(net: nn.Module) -> nn.Module:
    """Give batch normalisations statistics, as training leaves them."""
    for name, statistic in net.named_buffers():
        if name.endswith("running_mean"):
            statistic.normal_(0, 0.5)
        elif name.endswith("running_var"):
            statistic.uniform_(0.5, 2)
    return net.eval()


def first_features(net: nn.Module, image: Tensor) -> list[Tensor]:
    """What comes out of the first convolutions, normalised where they are, border left out."""
    with torch.no_grad():
        found = []
        for conv, norm in readers_of_the_picture(net, SIZE):
            features = conv(image)
            found.append((features if norm is None else norm(features))[:, :, 3:-3, 3:-3])
        return found


@pytest.mark.parametrize("name", NAMES)
def test_the_first_features_stay(name: str) -> None:
    torch.manual_seed(0)
    net = unsettled(build_network(name, 3, SIZE))
    pixels = torch.rand(1, 3, *SIZE)
    wanted = first_features(net, normalised(pixels, IMAGENET))
    assert len(wanted) == 1
    take_gray_input(net, SIZE, *IMAGENET)
    found = first_features(net, normalised(pixels, GRAY))
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
    other = first_features(net, normalised(pixels, IMAGENET))
    assert not torch.allclose(other[0], wanted[0], rtol=1e-2, atol=1e-2)  # a control


@pytest.mark.parametrize("bias", [True, False])
def test_without_normalisation_the_biases_take_the_constant(bias: bool) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3, bias=bias), nn.ReLU(), nn.Conv2d(4, 3, 1))
    before = copy.deepcopy(net)
    pixels = torch.rand(2, 3, 9, 11)
    take_gray_input(net, (9, 11), *IMAGENET)
    torch.testing.assert_close(net(normalised(pixels, GRAY)), before(normalised(pixels, IMAGENET)))
    torch.testing.assert_close(net[2].weight, before[2].weight)  # it reads three channels too, but not the picture's


def test_a_network_in_training_stays_so_and_keeps_its_statistics() -> None:
    torch.manual_seed(0)
    norm: Any = nn.BatchNorm2d(4)
    net = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), norm, nn.Dropout(0.5)).train()
    take_gray_input(net, (8, 8), *IMAGENET)
    assert net.training and norm.training and norm.num_batches_tracked == 0
    assert torch.equal(norm.running_var, torch.ones(4))
