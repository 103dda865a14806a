from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torchvision import models as vision

from edgeseg.models.cost import count_macs, count_parameters
from edgeseg.models.encoders import ENCODERS, dilate, make_encoder, mobilenet_v2, resnet
from edgeseg_runtime.errors import CheckpointError

PUBLISHED = {
    "efficientnet_lite0": (4_652_008, 1280 * 320 + 2 * 1280 + 1280 * 1000 + 1000),
    "mobilenet_v4_conv_small": (3_774_024, (960 * 128 + 2 * 960) + (1280 * 960 + 2 * 1280) + 1280 * 1000 + 1000),
}
"""Parameters of timm's classifiers, and how many of them come after the last features."""


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("size", [(64, 96), (65, 97)])
def test_features_have_the_channels_and_sizes_that_are_told(name: str, size: tuple[int, int]) -> None:
    encoder = make_encoder(name).eval()
    with torch.no_grad():
        features = encoder(torch.zeros(1, 3, *size))
    assert tuple(part.shape[1] for part in features) == encoder.channels
    last = int(name.rpartition("_stride")[2]) if "_stride" in name else 32
    for part, stride in zip(features, (2, 4, 8, 16, 32), strict=True):
        stride = min(stride, last)
        assert part.shape[2:] == (-(-size[0] // stride), -(-size[1] // stride))


@pytest.mark.parametrize("name", ["mobilenet_v2", "resnet18", "resnet34", "shufflenet_v2_x0_5"])
def test_trunks_are_torchvisions(name: str) -> None:
    spec = ENCODERS[name]
    encoder, whole = spec.build(), getattr(vision, name)(weights=None)
    state = {key.removeprefix(spec.prefix): value for key, value in whole.state_dict().items()}
    assert encoder.state_dict().keys() <= state.keys()
    classifier = sum(
        value.numel()
        for key, value in whole.named_parameters()
        if key.removeprefix(spec.prefix) not in dict(encoder.named_parameters())
    )
    assert count_parameters(encoder) == spec.weights.meta["num_params"] - classifier


@pytest.mark.parametrize("name", PUBLISHED)
def test_trunks_of_our_own_have_timms_parameters(name: str) -> None:
    whole, classifier = PUBLISHED[name]
    assert count_parameters(make_encoder(name)) == whole - classifier


def test_a_dilated_trunk_has_the_features_of_every_second_place() -> None:
    """Seen at the places that a stride would have left, dilation changes nothing (Yu and Koltun, 2016)."""
    torch.manual_seed(0)
    plain, spread = mobilenet_v2().eval(), mobilenet_v2(16).eval()
    spread.load_state_dict(plain.state_dict())
    image = torch.randn(1, 3, 96, 128)
    with torch.no_grad():
        expected, found = plain(image), spread(image)
    for one, other in zip(expected[:4], found[:4], strict=True):
        assert torch.equal(one, other)
    torch.testing.assert_close(found[4][:, :, ::2, ::2], expected[4], rtol=1e-4, atol=1e-5)


def test_dilation_is_as_torchvisions() -> None:
    torch.manual_seed(0)
    theirs = vision.resnet50(weights=None, replace_stride_with_dilation=[False, True, True]).eval()
    ours = resnet(50).eval()
    ours.load_state_dict({key: value for key, value in theirs.state_dict().items() if not key.startswith("fc.")})
    layers: Any = dict(ours.named_children())
    dilate(layers["layer3"], 2)
    dilate(layers["layer4"], 4)
    whole = nn.Sequential(*list(theirs.children())[:-2])
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours(image)[-1], whole(image))
    assert count_macs(whole, (64, 64)) == count_macs(resnet(50, 8), (64, 64))


def test_weights_that_torchvision_does_not_have_are_refused_by_name() -> None:
    with pytest.raises(CheckpointError, match=r"mobilenet_v4_conv_small has no ImageNet weights.*--weights FILE"):
        make_encoder("mobilenet_v4_conv_small", "imagenet")
